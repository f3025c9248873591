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
        result += (ease ? x ** 3 - x ** 4 / 2 : x ** 2 / 2) * (keys[k + 1][1] - speed) * length;
      }
      return result;
    };
    const start = integral(0);
    return (t) => integral(t) - start;
  },

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

  // pins: [[output frame, source time], ...]. Between them the monotone cubic of Fritsch and Carlson (1980).
  align(pins) {
    const sorted = [...pins].sort((a, b) => a[0] - b[0]);
    const [first, last] = [sorted[0], sorted[sorted.length - 1]];
    const points = [[first[0] - 1, first[1] - 1], ...sorted, [last[0] + 1, last[1] + 1]];
    const slopes = points.map((point, i) => {
      if (i === 0 || i === points.length - 1) return 1;
      const [h0, h1] = [point[0] - points[i - 1][0], points[i + 1][0] - point[0]];
      const [m0, m1] = [(point[1] - points[i - 1][1]) / h0, (points[i + 1][1] - point[1]) / h1];
      if (m0 * m1 <= 0) return 0;
      return 3 * (h0 + h1) / ((2 * h1 + h0) / m0 + (h1 + 2 * h0) / m1);
    });
    return (t) => {
      if (t <= first[0]) return first[1] + t - first[0];
      if (t >= last[0]) return last[1] + t - last[0];
      let k = 1;
      while (points[k + 1][0] <= t) k++;
      const h = points[k + 1][0] - points[k][0], x = (t - points[k][0]) / h;
      return (1 + 2 * x) * (1 - x) ** 2 * points[k][1] + x * (1 - x) ** 2 * h * slopes[k]
        + x * x * (3 - 2 * x) * points[k + 1][1] + x * x * (x - 1) * h * slopes[k + 1];
    };
  },
};
