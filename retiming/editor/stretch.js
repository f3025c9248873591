// The dialog that makes a stretch of time slower, faster or still, or leaves it out; what follows moves along.
"use strict";

class StretchDialog {
  constructor(model) {
    Object.assign(this, {model, rows: [], from: 1, to: 2, speed: LIMITS.stretch_speed.default});
    const frame = {min: 1, max: LIMITS.longest, units: () => ({rate: model.clip.rate, first: 1})};
    const {low, high} = LIMITS.stretch_speed;
    this.fields = Object.entries({from: frame, to: frame, speed: {min: low, max: high, step: 0.05}})
      .map(([key, options]) => {
        const read = () => (key === "speed" ? `${Math.round(1e4 * this.speed) / 100}%` : this[key]);
        const field = numberField({...options, read, write: (value) => { this[key] = value; this.show(); }});
        field.id = `stretch-${key}`;
        find(`#stretch-${key}`).replaceWith(field);
        return field;
      });
    find("#stretch-kind").addEventListener("change", () => this.show());
    find("#stretch-dialog").addEventListener("close", ({target}) => {
      if (target.returnValue === "do") this.change();
      target.returnValue = "";
    });
  }

  // For rows, from one output frame to another.
  open(rows, from, to) {
    const {model} = this;
    Object.assign(this, {rows, from: from + 1, to: Math.min(to, Math.max(model.length - 1, from + 1)) + 1,
                         speed: LIMITS.stretch_speed.default});
    this.fields.forEach((field) => field.show());
    find("#stretch-whom").options[0].textContent = rows.map((row) => model.title(row).replace("\n", ", ")).join(", ");
    find("#stretch-dialog").showModal();
    this.show();
  }

  show() {
    const kind = find("#stretch-kind").value, {from, to, speed} = this;
    find("#stretch-speed").closest("label").hidden = kind !== "speed";
    const by = kind === "cut" ? -(to - from + 1) : kind === "freeze" ? to - from : (to - from) / speed - (to - from);
    find("#stretch-result").textContent = to <= from && kind !== "cut" || to < from
      ? "The last frame must come after the first one."
      : `What follows comes ${Math.abs(Math.round(by * 100) / 100)} frames ${by < 0 ? "earlier" : "later"}; the video is as `
        + "long as it takes to show everybody's end.";
    find("#stretch-do").disabled = to < from || (to === from && kind !== "cut");
  }

  change() {
    const kind = find("#stretch-kind").value, whom = find("#stretch-whom").value, {from, to, speed, model} = this;
    const rows = whom === "picked" ? this.rows : model.everybody(whom === "all");
    model.ripple(rows, kind === "speed" ? {speed, frames: [from, to]} : {[kind]: [from, to]});
  }
}
