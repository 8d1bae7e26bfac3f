import pytest

from tuning.forecast.ranges import Range
from tuning.forecast.wording import WIDTH, in_time, in_units, rounded, section, span, table, time_span


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.4712, "0.47"), (3.0, "3"), (3.04, "3"), (8094, "8,100"), (123456.0, "120,000")]
)
def test_numbers_have_two_digits_that_mean_something(value, text):
    assert rounded(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.031, "0.031 s"), (59, "59 s"), (90, "1.5 min"), (7200, "2 h"), (10**6, "12 d")]
)
def test_times_come_in_the_unit_that_suits_them(seconds, text):
    assert in_time(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(999, "999 bytes"), (3.14e9, "3.1 GB"), (2e12, "2.0 TB")])
def test_bytes_come_in_the_unit_that_suits_them(size, text):
    assert in_units(size) == text


def test_a_range_is_told_with_its_ends():
    assert span(Range(8094, 5986, 10385)) == "about 8,100 (6,000 to 10,000)"
    assert time_span(Range(90, 60, 120)) == "about 1.5 min (1 min to 2 min)"


def test_a_range_of_values_holds_nine_of_ten():
    of = Range.of(range(101), scale=2.0)
    assert (of.mean, of.low, of.high) == (100, 10, 190)
    assert of.widened(0.5, 2.0) + Range(1, 1, 1) == Range(101, 6, 381)


def test_a_section_stays_within_the_page_beside_its_label():
    text = section("data", ["word " * 50, "short"])
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("data       word")
    assert lines[-1] == "           short"
    assert section("nothing", []) == ""


def test_columns_stand_under_each_other():
    assert table([("a", "1"), ("long", "100")]) == ["a       1", "long  100"]
