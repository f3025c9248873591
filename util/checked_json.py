"""JSON files that people write: values that know where they stand, so that messages can name line and key."""

import difflib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from util.errors import UserError

LARGEST = 1_000_000  # characters of a file, and absolute value of a number that has no other bounds
DEEPEST = 50  # values inside each other
Place = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


def values_from_text(text: str, name: str) -> dict:
    """The JSON object of a file that people write.

    Args:
        text: the file's content.
        name: what messages call the file.

    Raises:
        UserError: it is no JSON object, or names a key twice, or is too large.
    """
    if len(text) > LARGEST:
        raise UserError(f"{name}: {len(text)} characters; expected at most {LARGEST}")
    repeated = False

    def noting_repeated_keys(pairs: list[tuple[str, object]]) -> dict:
        nonlocal repeated
        found = dict(pairs)
        repeated |= len(found) < len(pairs)
        return found

    try:
        values = json.loads(text, object_pairs_hook=noting_repeated_keys)
        if _is_deep(values):
            raise RecursionError
    except json.JSONDecodeError as error:
        raise UserError(f"{name}: line {error.lineno}: not JSON ({error.msg}); mend it") from None
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise UserError(f"{name}: not readable as JSON ({reason}); mend it") from None
    seen = set()
    for path, line in places(text) if repeated else ():
        if path in seen:
            raise UserError(f"{name}: line {line}: {dotted(path)}: given twice; expected each key once")
        seen.add(path)
    if not isinstance(values, dict):
        raise UserError(f"{name}: line 1: found {_shortened(values)}; expected an object, {{...}}")
    return values


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level if isinstance(outer, dict | list)
                 for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return bool(level)


def dotted(path: Place) -> str:
    """("layers", "2", "time", 0) as layers.2.time[0]."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{_shortened(key)[1:-1]}" for key in path).lstrip(".")


def places(text: str) -> Iterator[tuple[Place, int]]:
    """Keys and indices of every value in valid JSON, and the line that it starts in."""
    path: list[str | int] = []
    awaits_key, line, position = False, 1, 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^\s{}\[\],:"]+', text):
        line += text.count("\n", position, token.start())
        position, word = token.start(), token[0]
        if word == ",":
            before = path[-1]
            if isinstance(before, int):
                path[-1] = before + 1
            else:
                awaits_key = True
        elif word in "}]":
            path.pop()
            awaits_key = False
        elif awaits_key:
            path[-1], awaits_key = json.loads(word), False
        else:
            yield tuple(path), line
            if word in "{[":
                awaits_key = word == "{"
                path.append("" if awaits_key else 0)


class Mistake(Exception):
    """A value that is not as expected; its text says both."""

    def __init__(self, path: Place, text: str):
        super().__init__(text)
        self.path = path


@dataclass(frozen=True)
class Node:
    """A value of the edit file, and the keys and indices that lead to it."""

    value: Any
    path: Place = ()

    def mistake(self, expected: str) -> Mistake:
        """What is wrong with this value."""
        return Mistake(self.path, f"found {_shortened(self.value)}; expected {expected}")

    def fields(self, known: tuple[str, ...]) -> dict[str, "Node"]:
        """An object that has these keys, or some of them."""
        if not isinstance(self.value, dict):
            raise self.mistake(f"an object with {listed(known)}")
        for key in self.value:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {nearest[0]}?" if nearest else f"expected {listed(known)}"
                raise Mistake((*self.path, key), f"no such key; {hint}")
        return {key: Node(value, (*self.path, key)) for key, value in self.value.items()}

    def items(self, expected: str, most: int = 10_000) -> list["Node"]:
        """A list that is not empty."""
        if not isinstance(self.value, list) or not self.value:
            raise self.mistake(expected)
        if len(self.value) > most:
            raise Mistake(self.path, f"found {len(self.value)} items; expected at most {most}")
        return [Node(value, (*self.path, i)) for i, value in enumerate(self.value)]

    def number(self, low: float = -LARGEST, high: float = LARGEST, otherwise: str = "") -> float:
        """A number in a range; `otherwise` says what else could stand here."""
        if not _is_number(self.value) or not low <= self.value <= high:
            raise self.mistake(f"a number from {low:g} to {high:g}{otherwise}")
        return float(self.value)

    def whole(self, low: int, high: int, otherwise: str = "") -> int:
        """A whole number in a range; `otherwise` says what else could stand here."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            raise self.mistake(f"a whole number from {low} to {high}{otherwise}")
        return self.value

    def choice(self, *choices: str) -> str:
        """One of some words."""
        if self.value not in choices:
            raise self.mistake(" or ".join(f'"{choice}"' for choice in choices))
        return self.value

    def colour(self) -> tuple[int, int, int]:
        """A colour "#rrggbb"."""
        if not (isinstance(self.value, str) and re.fullmatch("#[0-9a-fA-F]{6}", self.value)):
            raise self.mistake('a colour "#rrggbb"')
        red, green, blue = bytes.fromhex(self.value[1:])
        return red, green, blue


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and (
        isinstance(value, int) or math.isfinite(value))


def _shortened(value) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = "[[[[..."
    return text if len(text) <= 60 else text[:57] + "..."


def listed(words) -> str:
    """Words with commas between them."""
    return ", ".join(map(str, words))
