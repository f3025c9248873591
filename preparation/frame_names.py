"""Which name in somebody else's list of frames (poses, masks) stands for which frame of the clip.

Frames of a folder keep their names. Those of a video are numbered from 1 here and, mostly, from 0 elsewhere, and a list
may be of the whole video where only a part of it was taken.
"""

from collections.abc import Collection


def named_in(listed: Collection[str], frames: list[str], source: dict,
             usual_first: int = 0) -> tuple[list[str | None], str]:
    """Find each frame of a clip in a list of names.

    Args:
        listed: names without folder and ending.
        frames: the clip's, in order.
        source: metadata.json's entry: the index of each frame in its video or folder, and its name there if it is a
            folder.
        usual_first: number that lists of this kind give to a video's first frame, where they do not show it.

    Returns:
        for each frame its name in the list, or None; and in words how they were matched.
    """
    names = source.get("names") or ([] if "frames" in source else frames)
    if any(name in listed for name in names):
        return [name if name in listed else None for name in names], "frames matched by name"
    numbered = {number: name for name in listed if (number := last_number(name)) is not None}
    if not numbered:
        return [None] * len(frames), "no frame matched"
    own = [last_number(name) for name in names]
    if names and numbered.keys() <= set(own):
        found_by_number = [None if number is None else numbered.get(number) for number in own]
        return found_by_number, "frames matched by the numbers in their names"

    here = list(range(len(frames)))
    indices = source.get("frames", here)
    first, sure = first_number(numbered, len(frames) if indices == here else None, usual_first)
    last = max(numbered) - first + 1
    found, found_here = (sum(index + first in numbered for index in places) for places in (indices, here))
    whole = last > len(frames) or (last < len(frames) and found > found_here)
    matched = [numbered.get(index + first) for index in (indices if whole else here)]
    if indices == here and set(matched) <= {None, *frames}:
        return matched, "frames matched by name"
    of_what = "" if indices == here else " of the whole video" if whole else " of those chosen from it"
    return matched, f"frames matched by number, the first{of_what} {'being' if sure else 'taken to be'} {first}"


def first_number(numbered: dict[int, str], count: int | None, usual: int) -> tuple[int, bool]:
    """The number of the first frame, 0 or 1, in names by number, and whether that is sure.

    Args:
        numbered: names by number.
        count: of all frames, if known.
        usual: what to assume where nothing tells.
    """
    if 0 in numbered:
        return 0, True
    if max(numbered) == count:
        return 1, True
    padded = any(name[len(name.rstrip("0123456789")):].startswith("0") for name in numbered.values())
    return (1 if padded else usual), False


def last_number(name: str) -> int | None:
    """The number at the end of a name."""
    digits = name[len(name.rstrip("0123456789")):]
    return int(digits) if 0 < len(digits) < 19 else None
