"""Clips of people as an estimator sees them, with known ids: who walk, cross, hide each other, leave and come back.

What is wrong with real estimators is in them: joints tremble, the hidden are missing or found on whoever hides them,
somebody is found twice, and things are taken for people for a moment.
"""

from dataclasses import dataclass

import numpy as np

from vision.people.looks import BINS, PARTS

STANDING = np.array([(50, 5), (52, 3), (48, 3), (55, 5), (45, 5), (62, 20), (38, 20), (68, 38), (32, 38), (70, 55),
                     (30, 55), (58, 58), (42, 58), (58, 80), (42, 80), (58, 100), (42, 100)], float) - (50, 100)
"""Feet at (0, 0), 97 high."""
GHOST = -1


@dataclass
class Person:
    """Somebody on his way.

    Attributes:
        feet: [F, 2] in pixels; NaN where he is not there.
        height: in pixels.
        clothes: means of L*, a*, b* of each part in [0, 1], [PARTS, 3].
    """

    feet: np.ndarray
    height: float
    clothes: np.ndarray

    def skeleton(self, frame: int, rng: np.random.Generator, tremble: float = 0.012) -> np.ndarray:
        """As he is found: [17, 3]."""
        joints = STANDING * self.height / 97
        swing = 0.09 * self.height * np.sin(0.7 * frame + self.height)
        joints[[9, 14, 16], 0] += swing
        joints[[10, 13, 15], 0] -= swing
        joints = joints + self.feet[frame] + rng.normal(0, tremble * self.height, (17, 2))
        return np.column_stack([joints, rng.uniform(0.85, 0.99, 17)])


def look(clothes: np.ndarray, rng: np.random.Generator, noise: float = 0.03) -> np.ndarray:
    """What somebody in these clothes looks like in a frame: [PARTS, 3 * BINS + 1]."""
    samples = clothes[:, None] + rng.normal(0, 0.06, (PARTS, 60, 3)) + rng.normal(0, noise, (PARTS, 1, 3))
    places = np.clip(samples, 0, 1)[..., None] * (BINS - 1)
    histograms = np.maximum(0, 1 - np.abs(places - np.arange(BINS))).mean(axis=1)
    return np.concatenate([histograms.reshape(PARTS, -1), np.full((PARTS, 1), 0.9)], axis=1).astype(np.float32)


def as_found(people: list[Person], rng: np.random.Generator, missed: float = 0.05, ghosts: float = 0.1,
             false: float = 0.02, sticks: float = 0.3):
    """What an estimator makes of them.

    Returns:
        skeletons, looks and true ids (GHOST: nobody's) of each frame, in no order.
    """
    length = len(people[0].feet)
    frames, looks, truth = [], [], []
    for frame in range(length):
        found = []
        present = [i for i, person in enumerate(people) if np.isfinite(person.feet[frame]).all()]
        for i in present:
            person = people[i]
            hiders = [j for j in present if people[j].feet[frame, 1] > person.feet[frame, 1]
                      and abs(people[j].feet[frame, 0] - person.feet[frame, 0]) < 0.22 * people[j].height]
            skeleton, clothes = person.skeleton(frame, rng), person.clothes
            if hiders:
                if rng.random() < 0.65:
                    continue
                if rng.random() < sticks:  # the estimator sees whoever hides him
                    found.append((_shrunk(people[hiders[0]].skeleton(frame, rng), rng), people[hiders[0]].clothes,
                                  GHOST))
                    continue
                clothes = (clothes + people[hiders[0]].clothes) / 2
                skeleton[:, 2] *= 0.8
            if rng.random() < missed:
                continue
            found.append((skeleton, clothes, i))
            if rng.random() < ghosts:
                found.append((_shrunk(person.skeleton(frame, rng, 0.03), rng), clothes, GHOST))
        if rng.random() < false:
            thing = Person(np.tile(rng.uniform(50, 500, 2), (length, 1)), rng.uniform(40, 120), rng.random((PARTS, 3)))
            skeleton = thing.skeleton(frame, rng, 0.1)
            skeleton[:, 2] *= 0.65
            found.append((skeleton, thing.clothes, GHOST))
        order = rng.permutation(len(found))
        frames.append([found[i][0] for i in order])
        looks.append(np.stack([look(found[i][1], rng) for i in order]) if found else np.zeros((0, PARTS, 3 * BINS + 1)))
        truth.append([found[i][2] for i in order])
    return frames, looks, truth


def _shrunk(skeleton: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    middle = skeleton[:, :2].mean(axis=0)
    return np.column_stack([middle + rng.uniform(0.5, 0.85) * (skeleton[:, :2] - middle),
                            rng.uniform(0.65, 0.84, 17)])


def clothes(rng: np.random.Generator) -> np.ndarray:
    """Of somebody: darker and lighter, and not very colourful, as people are."""
    return np.column_stack([rng.uniform(0.1, 0.9, PARTS), 0.5 + rng.normal(0, 0.17, (PARTS, 2))]).clip(0, 1)


def crossing(rng: np.random.Generator, count: int, length: int = 100, alike: bool = False) -> list[Person]:
    """People who walk to and fro at their own distances, and hide each other."""
    people = []
    same = clothes(rng)
    for _ in range(count):
        depth = rng.uniform(0.6, 1)
        time = np.arange(length)
        x = 300 + 230 * np.sin(time / length * rng.uniform(2, 6) + rng.uniform(0, 6.3)) + rng.uniform(-30, 30)
        people.append(Person(np.column_stack([x, 150 + 200 * depth + 0 * x]), 170 * depth,
                             same if alike else clothes(rng)))
    return people


def left_and_came_back(rng: np.random.Generator, length: int = 120) -> list[Person]:
    """Somebody who stays, and somebody who goes out of the picture at one side and comes in at the other."""
    people = crossing(rng, 2, length)
    people[1].feet[40:90] = np.nan
    people[1].feet[90:, 0] = np.linspace(560, 380, length - 90)
    people[1].feet[:40, 0] = np.linspace(200, 20, 40)
    return people


def score(ids: list[list[int]], truth: list[list[int]]) -> tuple[float, float, int]:
    """Share of skeletons that have the id that their person mostly has, share of those of an id that are of the one
    who mostly has it, and how many ids there are in five frames or more."""
    pairs = [(i, who) for of_frame, true in zip(ids, truth) for i, who in zip(of_frame, true) if who != GHOST]
    table = np.zeros((1 + max(who for _, who in pairs), 2 + max(max(of_frame, default=0) for of_frame in ids)))
    for i, who in pairs:
        table[who, i] += 1  # nobody is the last column
    everybody = [i for of_frame in ids for i in of_frame if i >= 0]
    return (table[:, :-1].max(axis=1).sum() / len(pairs), table[:, :-1].max(axis=0).sum() / max(table[:, :-1].sum(), 1),
            sum(everybody.count(i) >= 5 for i in set(everybody)))
