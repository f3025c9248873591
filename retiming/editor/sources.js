// Where the editor's pictures and answers come from: the server (`retime.py --serve`), or the page itself (`--page`).
// Both have picture(layer, frame), person(layer, frame) and replacement(name), which give {bitmap, x, y}, or null where
// there is nothing to show; and path(layer, frame), see motion_path of page.py.
"use strict";

class Server extends LocalServer {
  constructor(clip) {
    const same = (other) => other && ["name", "folder", "length"].every((key) => other[key] === clip[key]);
    super(clip.token, "the editor's server does not answer: start retime.py --serve again, with the same --port; "
      + "this page then goes on", (data) => (same(data.clip) ? data.clip.token : null));
    this.renders = true;
  }

  picture(layer, frame) { return this.placedPicture(`/picture/${layer}/${frame}`); }
  person(layer, frame) { return this.placedPicture(`/person/${layer}/${frame}`); }
  replacement(name) { return this.placedPicture(`/replacement/${encodeURIComponent(name)}`); }
  async path(layer, frame) { return (await this.ask(`/path/${layer}/${frame}`)).path; }
  thumbnail(layer, frame) { return this.placedPicture(`/thumbnail/${layer}/${frame}`); }

  check(values) { return this.ask("/check", {edit: values}); }  // {warnings: [...]}
  // The very picture that retime.py renders, or what a view (see WebGLCompositor.draw) shows of it.
  async frame(values, output, view) { return (await this.ask("/frame", {edit: values, frame: output, ...view})).blob(); }
  // These give null where something of that name is there, and the user wants to keep it.
  save(name, values, overwrite) { return this.unlessItExists("/save", {name, edit: fileText(values), overwrite}); }
  // The video; `layer`: that one alone.
  render(name, values, layer = null) { return this.unlessItExists("/render", {name, edit: values, layer}); }
  // All layers for other programs, into a folder; `apart`: their effects apart.
  renderLayers(name, values, layers, apart) {
    return this.unlessItExists("/render", {name, edit: values, layers, apart});
  }
  async unlessItExists(path, body) {
    const answer = await this.ask(path, body);
    if (!answer.exists) return answer;
    return confirm(`${answer.exists} is there already. Replace it?`) ? this.ask(path, {...body, overwrite: true}) : null;
  }

  files() { return this.ask("/files"); }
  // A picture or video for the background's place; {name} is what it is called there.
  addBackground(file) { return this.ask(`/background/${encodeURIComponent(file.name)}`, file); }
  // What was rendered last.
  async rendered() { return (await this.ask("/rendered")).blob(); }
  // The clip's sound as a file's bytes; null: it has none.
  async sound() {
    const answer = await this.ask("/sound");
    return answer.status === 204 ? null : answer.arrayBuffer();
  }
  async open(name) { return (await this.ask(`/edit/${encodeURIComponent(name)}`)).text(); }
  progress() { return this.ask("/progress"); }
  cancel() { return this.ask("/cancel", {}); }
}

class Embedded {
  constructor(clip) {
    this.pictures = clip.pictures;
    this.renders = false;
  }

  async decode(picture) {
    if (!picture) return null;
    const [x, y, type, data] = picture;
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return {bitmap: await bitmapOf(new Blob([bytes], {type})), x, y};
  }

  picture(layer, frame) { return this.decode(this.pictures.layers[layer][frame]); }
  person(layer, frame) { return this.decode(this.pictures.people[layer]?.[frame]); }
  thumbnail(layer, frame) { return this.picture(layer, frame); }
  replacement(name) { return this.decode(this.pictures.replacements[name]); }
  async path(layer, frame) { return this.pictures.paths[layer][frame]; }
  async check() { return {warnings: []}; }
  async sound() { return null; }
}
