"""Credentials in URIs: found whatever the spelling, and in no text that is shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pamfn.credentials import held, redacted, without_credentials
from pamfn.data.faults import ShardError
from pamfn.data.shards import read_table_of_contents

HOLD = {
    "postgresql://me:pw@h:5432/db": ("a password", "postgresql://me:***@h:5432/db", "postgresql://me@h:5432/db"),
    "postgresql+psycopg2://me:p@s/w@h/db": ("a password", "postgresql+psycopg2://me:***@h/db", None),
    "mysql://me:12/3@h/db": ("a password", "mysql://me:***@h/db", "mysql://me@h/db"),
    "postgresql://me:p#w?x@h/db": ("a password", "postgresql://me:***@h/db", "postgresql://me@h/db"),
    "postgresql://h/db?user=me&password=pw": (
        "the credential 'password'",
        "postgresql://h/db?user=me&password=***",
        "postgresql://h/db?user=me",
    ),
    "postgresql://h/db?%70assword=pw": ("the credential 'password'", None, "postgresql://h/db"),
    "http://me:pw@h:5000/x": ("a password", "http://***@h:5000/x", "http://h:5000/x"),
    "https://ghp_abc@h": ("a user or token", "https://***@h", "https://h"),
    "http://me:pw@[::1]:5000": ("a password", "http://***@[::1]:5000", "http://[::1]:5000"),
    "https://h/x?a=1&api_key=k": ("the credential 'api_key'", "https://h/x?a=1&api_key=***", "https://h/x?a=1"),
    "https://h/x?token=t": ("the credential 'token'", "https://h/x?token=***", "https://h/x"),
    "s3://AK:s/k+=@bucket/rg?region=eu": (
        "a secret key",
        "s3://AK:***@bucket/rg?region=eu",
        "s3://bucket/rg?region=eu",
    ),
    "s3://b/x?X-Amz-Signature=s": ("the credential 'X-Amz-Signature'", "s3://b/x?X-Amz-Signature=***", "s3://b/x"),
    "mssql+pyodbc:///?odbc_connect=DSN%3Dx%3BPWD%3Dpw": (
        "the credential 'odbc_connect'",
        "mssql+pyodbc:///?odbc_connect=***",
        "mssql+pyodbc:///",
    ),
}
FREE = (
    "sqlite:///mlflow.db",
    "sqlite:////data/a@b:c.db",
    "postgresql://me@h/db",
    "postgresql://h1:1,h2:2/db?passfile=/x/.pgpass",
    "http://h:5000/a@b",
    "http://[::1]:5000",
    "http://[bad",
    "s3://bucket/me:a@b/rg?region=eu&endpoint_override=h:9000",
    "shards/me:pw@x",
)


@pytest.mark.parametrize("uri", HOLD)
def test_credentials_are_found_masked_and_left_out(uri):
    what, masked, without = HOLD[uri]
    assert held(uri) == what
    if masked is not None:
        assert redacted(f"no answer from '{uri}' or {uri} now") == f"no answer from '{masked}' or {masked} now"
    if without is not None:
        assert without_credentials(uri) == without
    assert held(without_credentials(uri)) == ""


@pytest.mark.parametrize("uri", FREE)
def test_what_holds_none_stays_as_it_is(uri):
    assert held(uri) == ""
    assert redacted(f"see {uri}, or {uri}") == f"see {uri}, or {uri}"
    assert without_credentials(uri) == uri


PASSWORDS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=8, max_size=30)
SCHEMES = st.sampled_from(["postgresql", "postgresql+psycopg2", "mysql+pymysql", "http", "https", "s3"])


@given(SCHEMES, PASSWORDS, st.sampled_from(["h", "h:5432", "[::1]:80"]), st.sampled_from(["", "/db", "/db?x=1"]))
def test_no_password_that_is_spelled_by_the_rules_is_shown(scheme, password, host, path):
    uri = f"{scheme}://user:{quote(password, safe='')}@{host}{path}"
    shown = (redacted(f"at {uri}: no answer"), without_credentials(uri))
    assert held(uri)
    for text in shown:
        assert quote(password, safe="") not in text.replace("***", "")
        assert host in text


@given(SCHEMES.filter(lambda scheme: scheme.startswith(("post", "my"))), PASSWORDS)
def test_nor_is_one_that_should_have_been_escaped(scheme, password):
    uri = f"{scheme}://user:{password}@host/db"
    assert held(uri) == "a password"
    assert without_credentials(uri) == f"{scheme}://user@host/db"


def test_shards_are_not_read_from_a_uri_with_a_secret_key():
    with pytest.raises(ShardError) as caught:
        read_table_of_contents("s3://AKIA:c4nary@bucket/rg?region=eu")
    (fault,) = caught.value.faults
    assert fault.startswith(
        "s3://bucket/rg?region=eu: was given with a secret key, and locations are written down; set "
    )
    assert "AWS_SECRET_ACCESS_KEY" in fault
    assert "c4nary" not in fault
