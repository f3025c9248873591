"""Calls beside other work."""

import threading

import pytest

from util.background import InBackground


def test_calls_are_made_in_order_beside_the_rest_and_none_is_lost():
    made, go = [], threading.Event()

    def first():
        assert go.wait(10)
        made.append(1)

    with InBackground() as call:
        call(first)
        assert made == []  # the program goes on meanwhile
        go.set()
        for number in (2, 3):
            call(made.append, number)
    assert made == [1, 2, 3]


def test_what_a_call_raises_is_raised():
    made = []
    with pytest.raises(ZeroDivisionError), InBackground() as call:
        call(lambda: 1 / 0)
        call(made.append, 1)
    with pytest.raises(ZeroDivisionError), InBackground() as call:
        call(lambda: 1 / 0)
    assert made == []


def test_a_mistake_of_the_program_itself_counts_more():
    with pytest.raises(KeyError), InBackground() as call:
        call(lambda: 1 / 0)
        raise KeyError
