// Time warps, as in vision/layers/time_warps.py: functions of an output time to the source time that is shown then,
// both in frames from 0. They know no clip and may leave it.
"use strict";

const timeWarps = {
  offset: (frames) => (t) => t - frames,

  hold: (source) => () => source,

  freeze: (first, last) => (t) => (t > last ? t - (last - first) : Math.min(t, first)),

  // keys: [[output frame, speed], ...]
  speed(keys, ease) {
    const atKeys = [0];
    for (let i = 1; i < keys.length; i++)
      atKeys.push(atKeys[i - 1] + (keys[i][0] - keys[i - 1][0]) * (keys[i - 1][1] + keys[i][1]) / 2);
    const integral = (t) => {
      let k = 0;
      while (k + 1 < keys.length && keys[k + 1][0] <= t) k++;
      const [frame, speed] = keys[k];
      let result = atKeys[k] + (t - frame) * speed;
      if (t > frame && k + 1 < keys.length) {
        const length = keys[k + 1][0] - frame, x = (t - frame) / length;
        result += (ease ? x * x * x - x * x * x * x / 2 : x * x / 2) * (keys[k + 1][1] - speed) * length;
      }
      return result;
    };
    const start = integral(0);
    return (t) => integral(t) - start;
  },

  // Frames `first` to `last` at a speed above 0; what follows comes as much later, or earlier, as that takes.
  stretch(first, last, speed) {
    const end = first + (last - first) / speed;
    return (t) => (t <= first ? t : t < end ? first + (t - first) * speed : last + (t - end));
  },

  // Frames `first` to `last` are left out.
  cut: (first, last) => (t) => (t >= first ? t + (last - first + 1) : Math.min(t, first - 1)),

  reverse: (first, last) => (t) => (t >= first && t <= last ? first + last - t : t),

  backwards: (last) => (t) => last - t,

  loop(first, last, times = Infinity) {
    const period = last - first + 1, late = times === Infinity ? 0 : (times - 1) * period;
    return (t) => t < first ? t : t < first + times * period
      ? Math.min(first + (t - first) % period, last) : t - late;
  },

  pingpong(first, last, times = Infinity) {
    const period = 2 * (last - first), late = times === Infinity ? 0 : times * period;
    const modulo = (x) => x % period + (x % period < 0 ? period : 0);  // as numpy rounds it: ties fall alike
    return (t) => t < first ? t : t < first + times * period
      ? first + Math.abs(modulo(t - last) - (last - first)) : t - late;
  },

  // pins: [[output frame, source time, handles], ...]. Without handles it is between them the monotone cubic of Fritsch
  // and Carlson (1980).
  align(pins) {
    const sorted = [...pins].sort((a, b) => a[0] - b[0]);
    const [first, last] = [sorted[0], sorted[sorted.length - 1]];
    const between = eased(sorted, slopesOf(sorted));
    return (t) => (t <= first[0] ? first[1] + t - first[0] : t >= last[0] ? last[1] + t - last[0] : between(t));
  },
};

// How fast it goes at sorted pins without handles.
function slopesOf(pins) {
  const [first, last] = [pins[0], pins[pins.length - 1]];
  const points = [[first[0] - 1, first[1] - 1], ...pins, [last[0] + 1, last[1] + 1]];
  return pins.map((point, i) => {
    const [h0, h1] = [point[0] - points[i][0], points[i + 2][0] - point[0]];
    const [m0, m1] = [(point[1] - points[i][1]) / h0, (points[i + 2][1] - point[1]) / h1];
    if (m0 * m1 <= 0) return 0;
    return 3 * (h0 + h1) / ((2 * h1 + h0) / m0 + (h1 + 2 * h0) / m1);
  });
}

// A curve through keys, [frame, value, handles], that is a cubic (of Bezier) between two of them; handles are as in an
// edit file: "ease", "linear" or {in: [frames, value], out: [frames, value]}, beside the key. Without them it goes
// straight to the next key, or by the slopes that are given.
function eased(keys, slopes = null) {
  const pieces = keys.slice(1).map((next, i) => {
    const [x0, y0, leaving] = keys[i], [x3, y3, coming] = next, length = x3 - x0, rise = y3 - y0;
    const [x1, y1] = controlPoint(leaving, 1, length, rise, slopes ? slopes[i] : rise / length);
    const [x2, y2] = controlPoint(coming, -1, length, rise, slopes ? slopes[i + 1] : rise / length);
    return {length, xs: [x1, length - x2], ys: [y0, y0 + y1, y3 - y2, y3], isEven: x1 === x2 && x1 === length / 3};
  });
  return (time) => {
    let k = 0;
    while (k + 1 < pieces.length && keys[k + 1][0] <= time) k++;
    const {length, xs: [x1, x2], ys: [y0, y1, y2, y3], isEven} = pieces[k], x = time - keys[k][0];
    if (x === 0) return y0;
    let low = 0, high = 1;
    for (let i = 0; i < (isEven ? 0 : 54); i++) {  // of the cubic x(t), which rises: halving is exact
      const t = (low + high) / 2, u = 1 - t;
      if (3 * u * u * t * x1 + 3 * u * t * t * x2 + t * t * t * length < x) low = t;
      else high = t;
    }
    const t = isEven ? x / length : (low + high) / 2, u = 1 - t;
    return u * u * u * y0 + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t * t * t * y3;
  };
}

// How far from a key, towards the one beside it, the cubic's control point is; `side`: -1 comes, 1 leaves.
function controlPoint(handles, side, length, rise, slope) {
  if (typeof handles === "string") return [length / 3, handles === "ease" ? 0 : rise / 3];
  const handle = handles?.[side > 0 ? "out" : "in"];
  if (!handle) return [length / 3, slope * length / 3];
  const [x, y] = [side * handle[0], side * handle[1]];
  return x > length ? [length, y * (length / x)] : [x, y];
}
