// The clip's sound: played with the picture, at its own speed and forwards, and drawn below the ruler. It is not retimed,
// as in what is rendered: output frame n is heard with the sound of frame n.
"use strict";

const PEAKS_PER_SECOND = 200;

class Sound {
  // `rate`: frames per second.
  constructor(rate) { Object.assign(this, {rate, buffer: null, node: null, peaks: []}); }

  // Take over the bytes of a file.
  async read(bytes) {
    this.context = new AudioContext();
    this.buffer = await this.context.decodeAudioData(bytes);
    const samples = this.buffer.getChannelData(0), size = Math.round(this.buffer.sampleRate / PEAKS_PER_SECOND);
    this.peaks = Array.from({length: Math.ceil(samples.length / size)}, (_, i) => {
      let peak = 0;
      for (let at = i * size; at < Math.min((i + 1) * size, samples.length); at++)
        peak = Math.max(peak, Math.abs(samples[at]));
      return peak;
    });
  }

  // Browsers let a page be heard only after somebody has done something there; waking up takes a moment.
  get isAwake() { return !this.buffer || this.context.state === "running"; }
  wake() { return this.context.resume(); }

  // Play from an output frame on.
  play(output) {
    this.stop();
    if (!this.buffer || output / this.rate >= this.buffer.duration) return;
    this.node = this.context.createBufferSource();
    this.node.buffer = this.buffer;
    this.node.connect(this.context.destination);
    this.node.start(0, output / this.rate);
  }

  stop() {
    this.node?.stop();
    this.node = null;
  }

  // How loud it is at most between two output times, in [0, 1].
  loudness(from, until) {
    const [first, last] = [from, until].map((frame) => Math.floor(frame / this.rate * PEAKS_PER_SECOND));
    return Math.max(0, ...this.peaks.slice(Math.max(first, 0), Math.max(last, first) + 1));
  }

  // Draw it on a canvas along a `FrameAxis`.
  draw(canvas, axis) {
    const context = prepared(canvas), {clientHeight: height} = canvas;
    context.fillStyle = getComputedStyle(canvas).getPropertyValue("--curve");
    const end = Math.min(axis.x(axis.length() - 1, canvas), canvas.clientWidth);
    for (let x = Math.max(axis.x(0, canvas), 0); x < end; x++) {
      const half = this.loudness(axis.place(x, canvas), axis.place(x + 1, canvas)) * (height / 2 - 1) + 0.5;
      context.fillRect(x, height / 2 - half, 1, 2 * half);
    }
  }
}
