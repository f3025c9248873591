// The rows below the picture: thumbnails and the time curve of each instance of a layer, which is dragged here.
"use strict";

const REACH = 9;              // pixels from a pin or curve that still take hold of it

class Timeline extends FrameAxis {
  // `actions`: seek(frame), select(row), toggleRemoved(row), toggleSolo(row).
  constructor(model, thumbnails, actions) {
    super(find("#ruler canvas"), find("#playhead"), () => model.length, actions.seek);
    Object.assign(this, {model, thumbnails, actions, selected: null, views: [], presses: []});
    this.rowsBox = find("#rows");
    this.rowsBox.addEventListener("dblclick", ({target}) => { if (!target.closest(".head")) this.togglePin(); });
    new ResizeObserver(() => this.draw()).observe(this.rowsBox);
  }

  // ---- places -------------------------------------------------------------------------------------------------------

  y(source, canvas) {
    return canvas.clientHeight - MARGIN
      - source / Math.max(this.model.clip.length - 1, 1) * (canvas.clientHeight - 2 * MARGIN);
  }

  sourceAt(y, canvas) {
    return (canvas.clientHeight - MARGIN - y) / (canvas.clientHeight - 2 * MARGIN) * (this.model.clip.length - 1);
  }

  // ---- rows ---------------------------------------------------------------------------------------------------------

  update(selected, output) {
    Object.assign(this, {selected, frame: output});
    const rows = this.model.rows().reverse();  // what is in front stands on top
    const names = rows.map(rowName).join(" ");
    if (names !== this.names) {
      this.names = names;
      this.views = rows.map((row) => this.makeRow(row));
      this.rowsBox.replaceChildren(...this.views.map(({box}) => box));
    }
    for (const {row, box, buttons, title} of this.views) {
      box.classList.toggle("selected", sameRow(row, selected));
      box.classList.toggle("hidden", this.model.isHidden(row));
      title.textContent = this.title(row);
      buttons.remove?.setAttribute("aria-pressed", this.model.values.remove?.includes(row.layer) ?? false);
      buttons.solo?.setAttribute("aria-pressed", this.model.values.solo?.includes(row.layer) ?? false);
    }
    this.draw();
  }

  title({layer, index}) {
    if (layer === BACKGROUND) return "Background";
    const people = this.model.clip.people?.[layer - 1] ?? [layer];
    const count = entriesOf(this.model.values, layer).length, copy = count - 1 - index;
    return `${people.length > 1 ? "People" : "Person"} ${people.join(", ")}${copy ? `\ncopy ${copy}` : ""}`;
  }

  makeRow(row) {
    const [box, head, title, face, canvas] = ["div", "div", "span", "canvas", "canvas"].map((tag) =>
      document.createElement(tag));
    box.className = "row";
    box.dataset.row = rowName(row);
    head.className = "head";
    title.className = "title";
    face.className = "face";
    head.append(face, title);
    const buttons = {};
    if (row.layer !== BACKGROUND) {
      const tools = document.createElement("span");
      for (const [name, letter, text, action] of [
        ["solo", "S", "Show only this person (S)", this.actions.toggleSolo],
        ["remove", "×", "Leave this person out (Delete)", this.actions.toggleRemoved]]) {
        buttons[name] = Object.assign(document.createElement("button"), {textContent: letter, title: text});
        buttons[name].addEventListener("click", (event) => { event.stopPropagation(); action(row); });
        tools.append(buttons[name]);
      }
      head.append(tools);
    }
    head.addEventListener("click", () => this.actions.select(row));
    box.append(head, canvas);
    this.makeDraggable(row, canvas);
    return {row, box, title, face, canvas, buttons};
  }

  makeDraggable(row, canvas) {
    const {model} = this;
    let held = null;
    dragged(canvas, {
      start: (event) => {
        held = this.hit(row, canvas, event);
        // All of a drag is reckoned from its start: a pin that is passed over comes back.
        if (held) held.others = model.pins(row).filter((pin) => pin !== held.pin);
        this.presses = [...this.presses.slice(-1), {row, held}];
        if (!held) this.actions.seek(this.frameAt(event.offsetX, canvas));
      },
      move: (event, dx, dy) => {
        if (!held) return this.actions.seek(this.frameAt(event.offsetX, canvas));
        if (Math.hypot(dx, dy) < 3 && !held.moved) return;
        held.moved = true;
        model.setPin(row, this.frameAt(held.x + dx, canvas), this.sourceAt(held.y + dy, canvas), held.others,
                     `drag ${rowName(row)}`);
      },
      end: () => {
        model.endMerge();
        this.actions.select(row);  // not before: the row grows
      },
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) canvas.style.cursor = this.hit(row, canvas, event) ? "grab" : "default";
    });
  }

  // Set a pin, or take it away, where the first press of a double-click was: by the second one the row may have grown.
  togglePin() {
    const [{row, held}] = this.presses, {model} = this;
    if (held?.pin) model.deletePin(row, held.pin);
    else if (held) model.setPin(row, held.output, model.instance(row).sourceTime(held.output) ?? 0);
    this.actions.select(row);
  }

  // The pin or the place on the curve under the pointer: {x, y, output, pin}.
  hit(row, canvas, {offsetX, offsetY}) {
    for (const pin of this.model.pins(row)) {
      const output = this.model.pinOutput(row, pin);
      if (output === null) continue;
      const [x, y] = [this.x(output, canvas), this.y(pin[1] - 1, canvas)];
      if (Math.hypot(x - offsetX, y - offsetY) <= REACH) return {x, y, output, pin};
    }
    const instance = this.model.instance(row);
    let best = null, nearest = REACH;
    for (let dx = -REACH; dx <= REACH; dx += 1.5) {  // between frames, too
      const output = this.place(offsetX + dx, canvas), source = instance.sourceTime(output);
      if (source === null) continue;
      const distance = Math.hypot(this.x(output, canvas) - offsetX, this.y(source, canvas) - offsetY);
      if (distance < nearest) [best, nearest] = [Math.round(output), distance];
    }
    if (best === null) return null;
    const source = instance.sourceTime(best);
    return source === null ? null : {x: this.x(best, canvas), y: this.y(source, canvas), output: best, pin: null};
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  draw() {
    const [first, last] = this.model.values.range ?? [1, this.model.length];
    this.drawRuler(first - 1, last - 1);
    this.views.forEach((view) => this.drawRow(view));
    this.movePlayhead(this.frame);
  }

  drawRow({row, canvas, face}) {
    const {model} = this, context = prepared(canvas), instance = model.instance(row), {length, clip} = model;
    const {clientWidth: width, clientHeight: height} = canvas, colours = getComputedStyle(canvas);
    this.drawStrip(context, row, canvas, instance);
    const head = this.thumbnails.at(row.layer, clip.length / 2), headContext = prepared(face);
    if (head) drawInside(headContext, head, 0, 0, face.clientWidth, face.clientHeight, row.layer === BACKGROUND);

    if (row.layer !== BACKGROUND || model.entry(row).time) {  // as filmed, for comparison
      context.strokeStyle = colours.getPropertyValue("--line");
      context.lineWidth = 1;
      context.setLineDash([3, 4]);
      context.beginPath();
      const end = Math.min(length, clip.length) - 1;
      context.moveTo(this.x(0, canvas), this.y(0, canvas));
      context.lineTo(this.x(end, canvas), this.y(end, canvas));
      context.stroke();
      context.setLineDash([]);
    }
    context.strokeStyle = colours.getPropertyValue(sameRow(row, this.selected) ? "--accent" : "--curve");
    context.lineWidth = sameRow(row, this.selected) ? 2 : 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let last = null;
    const step = Math.max((length - 1) / (2 * width), 0.25);
    for (let output = 0; output <= length - 1 + step / 2; output += step) {
      const source = instance.sourceTime(Math.min(output, length - 1));
      const [x, y] = [this.x(Math.min(output, length - 1), canvas), this.y(source ?? 0, canvas)];
      if (source !== null) context[last === null ? "moveTo" : "lineTo"](x, y);
      last = source;
    }
    context.stroke();

    for (const pin of model.pins(row)) {
      const output = model.pinOutput(row, pin);
      if (output === null) continue;
      context.beginPath();
      context.arc(this.x(output, canvas), this.y(pin[1] - 1, canvas), 4.5, 0, 7);
      context.fillStyle = colours.getPropertyValue("--ground");
      context.fill();
      context.lineWidth = 2;
      context.stroke();
    }
    const event = model.events[rowName(row)];
    if (event !== undefined) {
      context.fillStyle = colours.getPropertyValue("--event");
      for (let output = 0; output < length; output++) {
        const time = instance.sourceTime(output);
        if (time === null || nearest(time) !== event) continue;
        const [x, y] = [this.x(output, canvas), this.y(time, canvas)];
        context.beginPath();
        for (const [dx, dy] of [[0, -5], [5, 0], [0, 5], [-5, 0]]) context.lineTo(x + dx, y + dy);
        context.fill();
        break;
      }
    }
  }

  drawStrip(context, row, canvas, instance) {
    const height = Math.min(canvas.clientHeight - 4, 1.6 * THUMBNAIL_HEIGHT), top = (canvas.clientHeight - height) / 2;
    const isBackground = row.layer === BACKGROUND, cell = isBackground ? 1.6 * height : 0.9 * height;
    context.globalAlpha = this.model.isHidden(row) ? 0.1 : 0.5;
    for (let x = MARGIN; x + cell <= canvas.clientWidth - MARGIN + 1; x += cell + 6) {
      const source = instance.sourceTime(this.place(x + cell / 2, canvas));
      const picture = source === null ? null : this.thumbnails.at(row.layer, source);
      if (picture) drawInside(context, picture, x, top, cell, height, isBackground);
    }
    context.globalAlpha = 1;
  }
}
