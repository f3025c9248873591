"""What the editor's page reads in an edit is what retime.py reads: its functions, in a small JavaScript engine.

Random edits, with every kind of time step, copies, trails, orders and numbers that change. No browser is needed.
"""

import json

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retiming.compositor import Compositor
from retiming.edit import LIMITS, edit_from_values
from retiming.editor.page import FOLDER, clip_values

LENGTH = 12
EDITS = 250


@pytest.fixture(scope="module")
def compositor(tmp_path_factory):
    clip = make_sample(tmp_path_factory.mktemp("clip") / "clip", frames=LENGTH, width=64, height=64, people=3)
    return Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))


@pytest.fixture(scope="module")
def engine(compositor):
    engine = MiniRacer()
    engine.eval(f"const dataOf = () => ({json.dumps(LIMITS)});")
    for name in ("time_warps", "edit"):
        engine.eval((FOLDER / f"{name}.js").read_text(encoding="utf-8"))
    engine.eval(f"const clip = {json.dumps(clip_values(compositor, 'clip'))};")
    return engine


class RandomEdits:
    """Edits that a user could write."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def chance(self, share):
        return self.random.random() < share

    def number(self, low, high):
        value = round(float(self.random.uniform(low, high)), int(self.random.integers(0, 4)))
        return min(max(value, low), high)

    def frame(self, last=LENGTH):
        return int(self.random.integers(1, last)) if self.chance(0.7) else self.number(1, last)

    def pair(self, last=LENGTH):
        first, second = sorted((self.frame(last), self.frame(last)))
        return [first, second if second > first else first + 1]

    def keys(self, low, high, has_handles=True):
        if self.chance(0.5):
            return self.number(low, high)
        frames = sorted(set(self.random.integers(1, 20, int(self.random.integers(1, 4))).tolist()))
        return [[frame, self.number(low, high), *(self.handles(high - low) if has_handles else [])]
                for frame in frames]

    def handles(self, height):
        if self.chance(0.6):
            return []
        if self.chance(0.4):
            return [str(self.random.choice(["ease", "linear"]))]
        return [{key: [side * self.number(0, 9), self.number(-height, height)]
                 for key, side in (("in", -1), ("out", 1)) if self.chance(0.8)}]

    def step(self):
        kind = self.random.choice(["offset", "freeze", "hold", "speed", "stretch", "cut", "reverse", "backwards",
                                   "loop", "pingpong", "align"])
        if kind == "align":
            frames = sorted(set(self.random.integers(1, 20, 3).tolist()))
            return {"align": [[frame, self.frame(), *self.handles(LENGTH)] for frame in frames]}
        if kind == "speed":
            return {"speed": self.keys(-1, 2, False), **({"ease": True} if self.chance(0.5) else {})}
        if kind in ("loop", "pingpong"):
            first, last = self.pair()
            return {kind: [first, last, *([int(self.random.integers(1, 4))] if self.chance(0.5) else [])]}
        return {"offset": {"offset": self.number(-5, 5)}, "freeze": {"freeze": self.pair()},
                "stretch": {"speed": self.number(0.1, 3), "frames": self.pair()}, "cut": {"cut": self.pair()},
                "hold": {"hold": self.frame()}, "reverse": {"reverse": self.pair()},
                "backwards": {"reverse": True}}[kind]

    def picture(self):
        entry = {}
        if self.chance(0.6):
            entry["time"] = [self.step() for _ in range(int(self.random.integers(1, 4)))]
        if self.chance(0.3):
            entry["interpolation"] = str(self.random.choice(list(LIMITS["interpolations"])))
        for key, low, high in (("saturation", 0, 2), ("gain", 0, 3)):
            if self.chance(0.2):
                entry[key] = self.keys(low, high)
        if self.chance(0.2):
            entry["tint"] = "#" + "".join(f"{value:02x}" for value in self.random.integers(0, 256, 3))
        return entry

    def layer(self):
        entry = self.picture()
        for key, low, high in (("opacity", 0, 1), ("effects", 0, 2), ("x", -1, 1), ("y", -1, 1), ("scale", 0.1, 3)):
            if self.chance(0.25):
                entry[key] = self.keys(low, high)
        for key, values in (("ends", ["hold", "hide"]), ("flip", ["horizontal", "vertical", "both"])):
            if self.chance(0.3):
                entry[key] = str(self.random.choice(values))
        if self.chance(0.2):
            entry["anchor"] = [self.number(0, 1), self.number(0, 1)]
        if self.chance(0.25):
            entry["trail"] = {"copies": int(self.random.integers(1, 4)), "spacing": self.number(1, 4),
                              "fade": self.number(0, 1)}
        return entry

    def edit(self):
        values = {"layers": {key: [self.layer(), self.layer()] if self.chance(0.3) else self.layer()
                             for key in ("1", "2", "3", "others") if self.chance(0.6)}}
        if self.chance(0.4):
            values["background"] = self.picture()
        if self.chance(0.3):
            values["interpolation"] = str(self.random.choice(list(LIMITS["interpolations"])))
        if self.chance(0.3):
            values["length"] = int(self.random.integers(1, 30)) if self.chance(0.5) else "fit"
        if self.chance(0.2):
            values[str(self.random.choice(["remove", "solo"]))] = [int(self.random.integers(1, 4))]
        shown = [layer for layer in (1, 2, 3) if layer not in values.get("remove", ())
                 and layer in values.get("solo", (1, 2, 3))]
        if self.chance(0.4):
            order = self.random.permutation(shown).tolist()
            values["order"] = order if self.chance(0.5) else [[1, order], [6, self.random.permutation(shown).tolist()]]
        return values


@pytest.mark.parametrize("seed", range(2))
def test_random_edits_are_read_alike(engine, compositor, seed):
    edits = RandomEdits(seed)
    for _ in range(EDITS):
        values = edits.edit()
        edit = edit_from_values(values, compositor.facts, str, compositor.root.path)
        assert engine.eval(f"lengthOf({json.dumps(values)}, clip)") == edit.length, json.dumps(values)
        for output in edits.random.integers(0, edit.length, 5).tolist():
            found = json.loads(engine.eval(f"JSON.stringify(drawsOf({json.dumps(values)}, clip, {output}))"))
            where = json.dumps({"output": output, **values})
            assert found["camera"] == compositor.camera_frame(edit, output), where
            draws = compositor.draws(edit, output)
            assert [draw["layer"] for draw in found["draws"]] == [draw.layer for draw in draws], where
            for one, other in zip(found["draws"], draws):
                identity = np.eye(3)
                for name, got, expected, within in (
                        ("numbers", [one[key] for key in ("time", "opacity", "effects")],
                         [other.time, other.opacity, other.effects], 0),
                        ("place", one["placement"] or identity.ravel(),
                         (identity if other.placement is None else other.placement).ravel(), 0),
                        ("colour", one["colour"],  # of 32 bits there
                         (identity if other.colour is None else other.colour).ravel(), 1e-6)):
                    # Powers (of a trail's fade) end in another bit in older versions of V8: a rounding is 1.1e-16.
                    np.testing.assert_allclose(got, expected, rtol=1e-15, atol=within, err_msg=f"{name}: {where}")
                assert one["interpolation"] == other.interpolation, where
