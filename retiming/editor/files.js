// The files of the page: edits are opened and saved, pictures taken over for the background, and what is not saved is kept
// by the browser until it is.
"use strict";

class Files {
  // `actions`: changed(notice) after another edit was taken over, saved() after this one was, listed() when it is known
  // what files there are, tell(text, kind).
  constructor(clip, source, model, actions) {
    Object.assign(this, {clip, source, model, actions, edits: [], backgrounds: []});
    this.name = clip.edit_name ?? "edit";
    this.ownName = clip.edit_name;  // of the file that is written again without a question
    this.start = JSON.stringify(model.values);
    this.unsaved = this.read();
    for (const input of document.querySelectorAll("[data-file-name]")) {
      input.pattern = LIMITS.file_name;
      input.addEventListener("input", () => Files.checkName(input));
    }
    find("#save-dialog").addEventListener("close", ({target}) => {
      if (target.returnValue === "save") this.save(target.querySelector("[name=name]").value);
      target.returnValue = "";
    });
    find("#open-file").addEventListener("change", async ({target}) => {
      const [file] = target.files;
      find("#open-dialog").close();
      if (file) await this.load(await file.text(), file.name.replace(/\.json$/, ""));
      target.value = "";
    });
  }

  // Say in words what a name may be.
  static checkName(input) {
    input.setCustomValidity("");
    if (input.validity.patternMismatch)
      input.setCustomValidity(`Letters, digits, spaces, _ and - alone; the ending is added`);
    const hint = input.closest("form").querySelector(".hint");
    hint.textContent = input.validity.customError ? input.validationMessage : "";
  }

  // ---- work that is not saved, kept by the browser until it is ------------------------------------------------------

  get place() { return `retime ${this.clip.folder ?? location.pathname} ${this.clip.name}`; }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.place));
    } catch {
      return null;
    }
  }

  // Keep the edit, if it has changes; tells whether they are safe.
  keep() {
    const {values, changed, saved} = this.model;
    try {
      if (!changed) localStorage.removeItem(this.place);
      else localStorage.setItem(this.place, JSON.stringify({values, saved, name: this.name, start: this.start,
                                                            time: new Date().toLocaleString()}));
      return true;
    } catch {
      return !changed;
    }
  }

  // Go on with what was not saved when the page was left, where it was the same edit.
  goOn() { if (this.unsaved?.start === this.start) this.takeBack(); }

  takeBack() {
    const {values, saved, name, time} = this.unsaved;
    this.unsaved = null;
    this.model.replace(values);
    this.model.saved = saved;
    this.name = name;
    this.actions.changed(`Your unsaved work of ${time} is here again; Undo shows what was opened`);
  }

  // ---- opening ------------------------------------------------------------------------------------------------------

  async list() {
    if (!this.source.renders) return;
    try {
      const {edits, backgrounds} = await this.source.files();
      this.backgrounds.splice(0, this.backgrounds.length, ...backgrounds);
      this.edits = edits;
      this.actions.listed();
    } catch (error) {
      this.actions.tell(error.message, "error");
    }
  }

  async openDialog() {
    await this.list();
    const box = find("#saved-edits");
    const open = (name) => this.source.open(name).then((text) => this.load(text, name))
      .catch((error) => this.actions.tell(error.message, "error"));
    box.replaceChildren(...this.edits.map((name) => element("button", {textContent: name, onclick: () => open(name)})));
    if (this.unsaved) {
      box.append(element("button", {textContent: `Unsaved work of ${this.unsaved.time}`, onclick: () => this.takeBack()}));
    }
    if (!box.children.length) box.textContent = this.source.renders ? `No edits in ${this.clip.folder} yet.` : "";
    find("#open-dialog").showModal();
  }

  // Take over the text of an edit file, if it is one.
  async load(text, name) {
    try {
      await this.source.check(text);
      const values = JSON.parse(text);
      drawsOf(values, this.clip, 0);
      this.model.replace(values);
      this.model.saved = JSON.stringify(this.model.values);
      this.name = name;
      this.actions.changed();
    } catch (error) {
      this.actions.tell(`${name}: ${error.message.replace(/^edit: /, "")}`, "error");
    }
  }

  // Put a picture or video of the user's into the background's place.
  async addBackground(file) {
    this.actions.tell(`Taking ${file.name} over …`);
    try {
      const {name} = await this.source.addBackground(file);
      this.backgrounds.push(name);
      this.model.set({layer: BACKGROUND, index: 0}, "replace", name, undefined);
      this.actions.tell(`The background is ${name}`);
    } catch (error) {
      this.actions.tell(error.message, "error");
    }
  }

  // ---- saving -------------------------------------------------------------------------------------------------------

  saveDialog() {
    const dialog = find("#save-dialog"), name = dialog.querySelector("[name=name]");
    if (!this.source.renders) return this.saveToFile();
    name.value = this.name;
    dialog.querySelector("p").textContent = `In ${this.clip.folder}`;
    dialog.showModal();
    name.select();
  }

  async save(name) {
    const {values} = this.model;
    try {
      const saved = await this.source.save(name, values, name === this.ownName);
      if (!saved) return;
      this.name = this.ownName = name;
      this.start = JSON.stringify(values);
      this.wasSaved(this.start);
      this.actions.tell(`Saved: ${saved.file}`);
    } catch (error) {
      this.actions.tell(error.message, "error");
    }
  }

  saveToFile() {
    const text = JSON.stringify(this.model.values);
    const file = new Blob([fileText(this.model.values)], {type: "application/json"}), url = URL.createObjectURL(file);
    element("a", {href: url, download: `${this.name}.json`}).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
    this.wasSaved(text);
  }

  wasSaved(text) {
    this.model.saved = text;
    this.keep();
    this.actions.saved();
  }
}
