"""The editor plays by the clock: which frames are asked for and shown where loading them takes its time.

The player runs in a small JavaScript engine, with a clock and a loader of the test's own. No browser is needed.
"""

import json

import pytest
from py_mini_racer import MiniRacer

from retiming.editor.page import FOLDER

STAGE = """
let now = 0, queue = [], loading = null, seen = [], room = 1e9, heard = [];
const kept = new Map();
const performance = {now: () => now}, cancelAnimationFrame = () => {}, requestAnimationFrame = () => 1;
const stage = {
  rate: 25, range: () => [first, last], seek: () => {}, begin: () => { queue = []; },
  isReady(frame, asks) {
    if (!kept.has(frame) && asks && loading?.frame !== frame && !queue.includes(frame)) queue.push(frame);
    return kept.has(frame);
  },
  canAsk: () => !queue.length, draw: (frame) => seen.push([now, frame, player.wanted(now)]),
};
const sound = {isAwake: true, play: (frame) => heard.push(frame), stop: () => {}};
const player = new Player(stage, sound);
function run(seconds, takes) {
  seen = [];
  for (const end = now + 1000 * seconds; now < end; now += 1000 / 60) {
    if (loading && now >= loading.until) { kept.set(loading.frame, true); loading = null; player.came(); }
    if (!loading && queue.length) loading = {frame: queue.shift(), until: now + takes};
    player.tick();
  }
  return seen;
}
"""


def playing(first=0, last=99, speed=1):
    engine = MiniRacer()
    engine.eval((FOLDER / "player.js").read_text(encoding="utf-8"))
    engine.eval(f"const first = {first}, last = {last};{STAGE} kept.set({first}, true); kept.set({last}, true);"
                f"player.toggle({first if speed > 0 else last}, {speed});")

    def run(seconds, takes):
        return json.loads(engine.eval(f"JSON.stringify(run({seconds}, {takes}))"))
    run.engine = engine
    return run


@pytest.mark.parametrize("takes, least", [(10, 24), (60, 14), (200, 4.2), (700, 1.2)])
def test_as_many_frames_are_seen_as_can_be_loaded_and_the_clock_goes_on(takes, least):
    seen = playing(last=999)(20, takes)
    assert len(seen) / 20 >= least, "few loads are in vain"
    assert all(abs(wanted - time * 25 / 1000) <= 1 for time, _, wanted in seen), "the clock does not wait"
    late = [wanted - frame for _, frame, wanted in seen[5:]]
    assert min(late) >= 0 and sorted(late)[len(late) // 2] <= 1, "what is seen is what is heard, mostly"
    assert [frame for _, frame, _ in seen] == sorted(frame for _, frame, _ in seen)


def test_rounds_of_a_loop_fill_up_until_every_frame_is_seen():
    run = playing()
    rates = [len(run(4, 100)) / 4 for _ in range(5)]
    assert rates[0] <= 12 and rates[-1] == 25 and rates == sorted(rates)


def test_it_plays_backwards_too():
    seen = playing(speed=-1)(2, 30)
    frames = [frame for _, frame, _ in seen]
    assert len(frames) > 35 and frames == sorted(frames, reverse=True)


def test_the_sound_begins_again_with_each_round_and_at_no_other_time():
    run = playing(10, 59)
    run(7, 300)
    assert run.engine.eval("JSON.stringify(heard)") == "[10,10,10,10]"
