"""JSON that people write, and that somebody sends."""

import time

import pytest

from util.checked_json import Mistake, Node, values_from_text
from util.errors import UserError


def test_a_large_file_of_deep_lists_is_refused_at_once_and_without_gigabytes():
    text = '{"a": ' + "[" * 900 + "0," * 200_000 + "0" + "]" * 900 + "}"
    began = time.monotonic()
    with pytest.raises(UserError, match="file: not readable as JSON .nested too deeply."):
        values_from_text(text, "file")
    assert time.monotonic() - began < 5


def test_a_key_that_is_given_twice_is_told_with_its_line():
    with pytest.raises(UserError, match=r"file: line 3: a\.c: given twice; expected each key once"):
        values_from_text('{"a": {"c": 1,\n"b": [{"c": 1}],\n"c": 2}}', "file")
    assert values_from_text('{"a": {"c": 1}, "b": [{"c": 1}, {"c": 1}]}', "file")["a"] == {"c": 1}


def test_values_may_be_fifty_levels_deep():
    assert values_from_text('{"a":' * 49 + "1" + "}" * 49, "file")
    with pytest.raises(UserError, match="nested too deeply"):
        values_from_text('{"a":' * 60 + "1" + "}" * 60, "file")


@pytest.mark.parametrize("read", [lambda value: Node(value, ()).number(-2, 3),
                                  lambda value: Node(value, ()).whole(-2, 3)])
def test_a_range_holds_its_ends_and_nothing_beyond_or_of_another_kind(read):
    assert (read(-2), read(3)) == (-2, 3)
    for wrong in (-3, 4, True, "1", None, float("nan")):
        with pytest.raises(Mistake, match="expected a .*number from -2 to 3"):
            read(wrong)


def test_a_list_may_hold_as_many_items_as_said_and_no_more():
    assert [item.value for item in Node([1, 2], ()).items("a list", most=2)] == [1, 2]
    for wrong, said in (([1, 2, 3], "found 3 items; expected at most 2"), ([], "a list"), (5, "a list")):
        with pytest.raises(Mistake, match=said):
            Node(wrong, ()).items("a list", most=2)


@pytest.mark.parametrize("value", ["red", "#12345", "#1234567", "x#123456", 123456, None])
def test_a_colour_is_six_digits(value):
    assert Node("#0aFf10").colour() == (10, 255, 16)
    with pytest.raises(Mistake, match="#rrggbb"):
        Node(value).colour()
