"""JSON that people write, and that somebody sends."""

import time

import pytest

from util.checked_json import values_from_text
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
