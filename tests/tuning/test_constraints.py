"""Constraints between settings: what they mean, and what is none."""

import contextlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.constraints import parse

HERE = {"k": 6, "n": 3, "lr": 1e-3, "tau": 10.0, "optimizer": "adamw", "mask": True, "clip": None, "zero": 0}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("k <= 4 * n", True),
        ("k > 4 * n", False),
        ("k % n == 0 and k // n == 2", True),
        ("k - n - 1 == 2", True),
        ("k - (n - 1) == 2", False),
        ("-k < -5.5", True),
        ("1e-4 < lr <= 1e-3", True),
        ("1e-4 < lr < 1e-3", False),
        ("lr < 1e-4 or tau > 2", True),
        ("not (lr < 1e-4 or tau > 2)", False),
        ("optimizer == 'adamw'", True),
        ('optimizer != "adamw" or k == 6.0', True),
        ("optimizer < 'b'", True),
        ("mask and k > 2", True),
        ("mask == false", False),
        ("clip == null or clip < 3", True),
        ("clip != null and clip < 3", False),
        ("(k < n) == mask", False),
        ("k / zero < 3", False),
        ("not k / zero < 3", False),
        ("  k > 2  ", True),
        ("(k >\n 2)", True),
    ],
)
def test_a_constraint_holds_or_not(text, holds):
    assert parse(text).holds(HERE) is holds


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "cannot be read beyond its end"),
        ("lr <", "cannot be read beyond its end"),
        ("lr < 1 )", "cannot be read at character 8"),
        ("lr $ 1", "cannot be read at character 4"),
        ("k > 1\nn > 1", "cannot be read at character 7"),
        ("k\0 > 1", "cannot be read"),
        ("2 < 3", "names no setting"),
        ("lr ** 2 < 1", "has `lr ** 2` at character 1, which is no part of a constraint"),
        ("k in (1, 2)", "has `k in (1, 2)` at character 1, which is no part of a constraint"),
        ("k is n", "has `k is n` at character 1, which is no part of a constraint"),
        ("  k.real < 1", "has `k.real` at character 3, which is no part of a constraint"),
        ("k < __import__('os').getpid()", "has `__import__('os').getpid()` at character 5"),
        ("k if n else lr", "has `k if n else lr` at character 1, which is no part of a constraint"),
        ("k < 1j", "has `1j` at character 5, which is no part of a constraint"),
        ("mask == True", "has True at character 9, which is written true"),
        ("clip == None", "has None at character 9, which is written null"),
        ("-" * 60 + "k < 1", "is nested more than 50 deep"),
        ("k < 1" + " or k < 1" * 60, "is longer than 400 characters; write several constraints"),
    ],
)
def test_what_is_no_constraint_is_refused_with_the_place(text, fault):
    with pytest.raises(ValueError, match=r".") as caught:
        parse(text)
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("optimizer < 3", "'adamw' < 3 cannot be compared"),
        ("clip < 3", "null < 3 cannot be compared"),
        ("mask < 3", "true < 3 cannot be compared"),
        ("mask == 1", "true and 1 are never equal"),
        ("optimizer == 3", "'adamw' and 3 are never equal"),
        ("mask + 1 > 1", "true + 1 cannot be computed"),
        ("-optimizer == 'x'", "-'adamw' cannot be computed"),
        ("k and lr < 1", "k is 6, which is neither true nor false; compare it"),
        ("not lr", "lr is 0.001, which is neither true nor false; compare it"),
    ],
)
def test_values_of_different_kinds_are_not_compared(text, fault):
    with pytest.raises(TypeError) as caught:
        parse(text).holds(HERE)
    assert str(caught.value) == fault


def test_a_constraint_knows_its_names_and_survives_pickling():
    constraint = parse("clip == null or k <= 4 * n")
    assert constraint.names == {"clip", "k", "n"}
    again = pickle.loads(pickle.dumps(constraint))
    assert again == constraint
    assert again.holds(HERE)


@given(text=st.text(st.sampled_from("kn 10.<>=!+-*/%()'\"andortfx:[]{}\n#@\\"), max_size=30) | st.text(max_size=30))
def test_any_text_is_a_constraint_or_refused(text):
    try:
        constraint = parse(text)
    except ValueError:
        return
    with contextlib.suppress(TypeError):
        assert constraint.holds(dict.fromkeys(constraint.names, 3)) in (True, False)


@given(k=st.integers(-50, 50), n=st.integers(-50, 50))
def test_arithmetic_is_that_of_python(k, n):
    texts = ("k + n * 2 >= 3 - n", "k // 7 == n % 5", "k - n - 1 < k / 3", "k < n < 9 or not k == n")
    for text in texts:
        assert parse(text).holds({"k": k, "n": n}) == eval(text, {}, {"k": k, "n": n})
