"""What is one layer for other programs, and what its files are called."""

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
        name = "person" + "_".join(map(str, who)) + (f"_copy{copies}" if copies else "")
        groups.append(Group(name, instance.layer, tuple(trail)))
        trail = []
    return groups
