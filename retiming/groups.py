"""What is one layer for other programs, and what its files are called."""

import re
from dataclasses import dataclass

from retiming.edit import Edit, LayerInstance


@dataclass(frozen=True)
class Group:
    """What is one layer for other programs: an instance of a layer with the copies of its trail.

    Attributes:
        name: of its files.
        layer: its number.
        instances: in an edit, back to front.
    """

    name: str
    layer: int
    instances: tuple[LayerInstance, ...]


def groups_of(edit: Edit, people: list[list[int]] | None) -> list[Group]:
    """The layers of an edit in the order of their numbers.

    Args:
        edit: what is shown.
        people: per layer, its people; None: layer N shows person N.
    """
    groups: list[Group] = []
    trail: list[LayerInstance] = []
    for instance in edit.instances:
        trail.append(instance)
        if instance.behind > 0:
            continue
        who = people[instance.layer - 1] if people else [instance.layer]
        copies = sum(group.layer == instance.layer for group in groups)
        name = file_name(edit, instance.layer) or "person" + "_".join(map(str, who))
        name += f"_copy{copies}" if copies else ""
        groups.append(Group(name, instance.layer, tuple(trail)))
        trail = []
    return groups


def file_name(edit: Edit, layer: int) -> str | None:
    """What an edit calls the people of a layer, as every program takes it as a file's name; None: that is not so."""
    names = {number: re.sub(r"\s+", "_", name) for number, name in edit.names.items()}
    name, others = names.get(layer, ""), [one.lower() for number, one in names.items() if number != layer]
    if re.match(r"(person|background|layers|(con|prn|aux|nul|com\d|lpt\d)$)|.*_(copy\d*|effects)$", name, re.I):
        return None  # what other files are called, and what Windows keeps for itself
    return name if re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII) and name.lower() not in others else None
