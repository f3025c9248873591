// Playing: the clock leads, and the sound with it; pictures that are not there in time are left out.
"use strict";

const AHEAD = 12;        // frames that are loaded before they are shown, at most
const LATEST = 50;       // frames after its time that one is still shown, where no later one is there

class Player {
  // `stage`: rate; range() is [first, last]; begin(): what was asked for before is left aside; isReady(frame, asks)
  // tells whether a frame's pictures are there, and may ask for them; canAsk() whether there is room for more; draw(frame)
  // draws; seek(frame) moves the playhead.
  constructor(stage, sound) {
    Object.assign(this, {stage, sound, playing: false, speed: 1, drawn: null, shownTimes: [], wait: 0, coming: []});
  }

  restart(output) {
    Object.assign(this, {clockStart: performance.now(), clockOutput: output, output, coming: []});
    this.refresh();
    this.listen(output);
  }

  // What is drawn is to be drawn anew.
  refresh() { Object.assign(this, {drawn: null, isNew: true}); }

  // A picture has come.
  came() { this.isNew = true; }

  // What is heard goes with what is shown.
  listen(output) {
    if (!this.playing || this.speed !== 1) return this.sound.stop();
    if (this.sound.isAwake) this.sound.play(output);
    else this.sound.wake().then(() => { if (this.playing) this.listen(this.wanted(performance.now())); });
  }

  // Play at a speed, negative backwards; again in the same direction: twice as fast.
  shuttle(direction, output) {
    const isFaster = this.playing && Math.sign(this.speed) === direction && Math.abs(this.speed) < 8;
    const speed = isFaster ? 2 * this.speed : direction;
    if (!this.playing) return this.toggle(output, speed);
    this.speed = speed;
    this.restart(output);
  }

  toggle(output, speed = 1) {
    this.playing = !this.playing;
    this.speed = speed;
    if (this.playing) {
      const [first, last] = this.stage.range();
      if (speed > 0 && (output < first || output >= last)) output = first;
      if (speed < 0 && (output <= first || output > last)) output = last;
      this.shownTimes = [];
    } else {
      cancelAnimationFrame(this.nextTick);
    }
    this.restart(output);
    this.stage.seek(output);
    if (this.playing) this.tick();
  }

  // A frame `by` frames further on, within what is played over and over.
  beside(output, by) {
    const [first, last] = this.stage.range(), length = Math.max(last - first + 1, 1);
    return first + ((output + by - first) % length + length) % length;
  }

  // So many frames the clock has gone on.
  passed(now) { return Math.trunc((now - this.clockStart) / 1000 * this.stage.rate * this.speed); }

  // The frame that it wants.
  wanted(now) { return this.beside(Math.max(this.clockOutput, this.stage.range()[0]), this.passed(now)); }

  tick() {
    this.nextTick = requestAnimationFrame(() => this.tick());
    const now = performance.now(), {stage, output} = this, wanted = this.wanted(now);
    if (wanted === output && !this.isNew) return;
    this.isNew = false;
    if (this.speed === 1 && wanted < output) this.listen(wanted);  // it begins again
    this.output = wanted;
    if (wanted !== output) stage.seek(wanted);
    stage.begin();
    this.drawLatest(wanted, now);
    this.askAhead(wanted, now);
  }

  // Draw the frame that is wanted, or else the latest one before it that has come since.
  drawLatest(wanted, now) {
    const most = Math.min(Math.abs(this.passed(now)), LATEST);
    for (let late = 0; late <= most; late++) {
      const frame = this.beside(wanted, -Math.sign(this.speed) * late);
      if (frame === this.drawn) return;
      if (!this.stage.isReady(frame, false)) continue;
      this.stage.draw(frame);
      this.drawn = frame;
      this.shownTimes = [...this.shownTimes.filter((time) => time > now - 1000), now];
      return;
    }
  }

  // Ask for frames that can be there when their time comes: where it takes a while to load one, not for the very next.
  askAhead(wanted, now) {
    const {stage} = this;
    for (const {frame, asked} of this.coming)
      if (stage.isReady(frame, true)) this.wait += 0.3 * (now - asked - this.wait);
    this.coming = this.coming.filter(({frame}) => !stage.isReady(frame, false));
    const lead = Math.max(Math.ceil(this.wait / 1000 * stage.rate * Math.abs(this.speed)), 1);
    for (let by = 1; by < lead + AHEAD; by++) {  // what is there already is kept until then
      const frame = this.beside(wanted, Math.sign(this.speed) * by), asks = by >= lead && stage.canAsk();
      if (stage.isReady(frame, asks) || !asks) continue;
      if (!this.coming.some((one) => one.frame === frame)) this.coming.push({frame, asked: now});
    }
  }
}
