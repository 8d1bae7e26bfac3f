"""Tracking URIs: what is refused before a study starts, and where to look afterwards."""

from __future__ import annotations

import re
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tuning.tracking import charts_page, check_existing, check_tracking, compare_page, ui_command
from tuning.tracking.location import absolute, artifact_folder


def test_a_file_that_is_not_there_yet_is_fine_and_is_not_made(tmp_path):
    assert check_tracking(f"sqlite:///{tmp_path}/new/mlflow.db") == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_database(tmp_path):
    uri = f"sqlite:///{tmp_path}"
    assert check_tracking(uri) == [f"tracking URI {uri!r}: {tmp_path} is a folder; give sqlite:///{tmp_path}/mlflow.db"]


def test_another_kind_of_file_is_no_database(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database at all")
    uri = f"sqlite:///{tmp_path}/notes.txt"
    (fault,) = check_tracking(uri)
    assert fault == f"tracking URI {uri!r}: {tmp_path}/notes.txt is not a SQLite database; give another file"


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (fault,) = check_tracking(f"sqlite:///{tmp_path}/file/mlflow.db")
    assert f"{tmp_path}/file is not a folder you may write to" in fault


@pytest.mark.parametrize(
    "uri", ["", "mlruns", "file:///tmp/mlruns", "databricks", "sqlit:///mlflow.db", "sqlite+foo:///mlflow.db"]
)
def test_what_is_neither_database_nor_server_is_refused(uri):
    (fault,) = check_tracking(uri)
    assert fault.startswith(f"tracking URI {uri!r}: not a database or a server; give sqlite:///FILE")


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_sqlite_uri_must_name_a_file(uri):
    assert check_tracking(uri) == [f"tracking URI {uri!r}: names no file; give sqlite:///FILE"]


def test_a_server_that_does_not_answer_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    (fault,) = check_tracking(uri)
    assert fault.startswith(f"tracking URI {uri!r}: no answer (")
    assert "start it with `mlflow server`" in fault


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("http://[bad", "not a URI (Invalid IPv6 URL); give sqlite:///FILE"),
        ("http://a b", "no answer (URL can't contain control characters"),
        (f"sqlite:///{'a' * 300}.db", "its file cannot be looked up (File name too long); give another file"),
    ],
)
def test_what_cannot_be_an_address_is_one_line(uri, rule):
    (fault,) = check_tracking(uri)
    assert fault.startswith(f"tracking URI {uri!r}: {rule}")


@pytest.mark.parametrize(
    ("uri", "found", "way_out", "instead"),
    [
        ("http://me:secret@host:5000", "a password", "set MLFLOW_TRACKING_USERNAME and", "http://host:5000"),
        ("https://secret@host", "a user or token", "set MLFLOW_TRACKING_USERNAME and", "https://host"),
        ("https://host?token=secret", "the credential 'token'", "MLFLOW_TRACKING_TOKEN", "https://host"),
        ("postgresql://me:secret@host/db", "a password", "set PGPASSWORD", "postgresql://me@host/db"),
        ("postgresql+psycopg2://me:sec/ret@host/db", "a password", "~/.pgpass", "postgresql+psycopg2://me@host/db"),
        ("postgresql://host/db?user=me&password=secret", "the credential", "~/.pgpass", "postgresql://host/db?user=me"),
        ("mysql+pymysql://me:secret@host/db", "a password", "~/.my.cnf", "mysql+pymysql://me@host/db"),
        ("mssql+pyodbc://me:secret@host/db", "a password", "run `mlflow server`", "mssql+pyodbc://me@host/db"),
    ],
)
def test_a_password_in_an_address_is_refused_with_the_place_for_it_and_never_shown(uri, found, way_out, instead):
    (fault,) = check_tracking(uri)
    assert fault.startswith(f"tracking URI: holds {found}")
    assert way_out in fault
    assert fault.endswith(f"and give {instead!r}")
    assert not {"secret", "sec", "ret"} & set(re.split(r"\W+", fault))
    assert check_existing(uri) == [fault]


def test_nor_does_an_address_that_came_otherwise_show_one():
    uri = "http://me:secret@127.0.0.1:5000"
    assert charts_page(uri, "7").startswith(uri.replace("me:secret@", ""))
    assert ui_command("postgresql://me:secret@host/db") == "mlflow ui --backend-store-uri 'postgresql://me:***@host/db'"


def test_what_is_to_be_read_must_be_there_and_is_not_made(tmp_path):
    uri = f"sqlite:///{tmp_path}/absent/mlflow.db"
    rule = f"there is no file {tmp_path}/absent/mlflow.db; give the --tracking-uri of the launch"
    assert check_existing(uri) == [f"tracking URI {uri!r}: {rule}"]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_forbids_says_so():
    class Forbids(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Forbids)
    Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_port}"
    (fault,) = check_tracking(uri)
    server.shutdown()
    way_out = "allow this host name on the server (--allowed-hosts)"
    assert fault == f"tracking URI {uri!r}: the server answered 403 Forbidden; {way_out}"


def test_a_database_that_does_not_answer_is_one_line():
    (fault,) = check_tracking("postgresql://me@127.0.0.1:1/mlflow")
    assert fault.startswith("tracking URI 'postgresql://me@127.0.0.1:1/mlflow': ")
    assert "\n" not in fault


def test_a_relative_file_means_the_same_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = absolute("sqlite:///mlflow.db")
    assert uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert ui_command("sqlite:///mlflow.db") == f"mlflow ui --backend-store-uri {uri}"


def test_a_server_decides_where_artefacts_go_and_a_database_does_not():
    assert artifact_folder("http://host:5000", "/studies/rg") is None
    assert artifact_folder("sqlite:////data/mlflow.db", "/studies/rg") == "/data/mlartifacts"
    assert artifact_folder("postgresql+psycopg://host/db", "s3://bucket/rg/") == "s3://bucket/rg/mlartifacts"


def test_pages_open_in_mlflows_mode_for_training():
    page = charts_page("sqlite:///x.db", "7")
    assert page == "http://127.0.0.1:5000/#/experiments/7/runs?compareRunsMode=CHART&workflowType=machine_learning"
    compare = compare_page("http://host:8080/", "7", ["ab", "cd"])
    assert compare.startswith(
        "http://host:8080/#/compare-runs?runs=%5B%22ab%22%2C%20%22cd%22%5D&experiments=%5B%227%22%5D"
    )
    assert ui_command("http://host:8080") is None
