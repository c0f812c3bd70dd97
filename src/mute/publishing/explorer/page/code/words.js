// Elements and words: all text of a study is put in as text, never as markup.
"use strict";
(function () {
  // An element with attributes, then children: elements, or texts.
  MUTE.el = function (tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
      else if (name === "value") node.value = value;
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };
  const el = MUTE.el;

  MUTE.decimal = (value) => (value === null || value === undefined ? "–" : value.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−"));

  // A number as [value, low, high, n], with its interval.
  MUTE.interval = function (number) {
    if (!number) return "–";
    const [value, low, high] = number;
    return low === null ? MUTE.decimal(value) : `${MUTE.decimal(value)}\u00a0[${MUTE.decimal(low)},\u00a0${MUTE.decimal(high)}]`;
  };

  MUTE.plain = (name) => String(name).replaceAll("_", " ");

  function known(kind, locale, code) {
    try {
      return new Intl.DisplayNames([locale], { type: kind, fallback: "none" }).of(code) || "";
    } catch (error) {
      return "";
    }
  }

  // Code, English name, own name and script of a language; the browser knows those that no pack names.
  MUTE.language = function (study, code) {
    study.known = study.known || new Map(study.languages.map((own) => [own.code, own]));
    const given = study.known.get(code) || { code, name: "", own: "", script: "" };
    const tag = code.replace("_", "-");
    const name = given.name || known("language", "en", tag) || code;
    let script = given.script;
    if (!script) {
      try {
        script = known("script", "en", new Intl.Locale(tag).maximize().script || "");
      } catch (error) {
        script = "";
      }
    }
    return { code, tag, name, own: given.own || known("language", tag, tag) || "", script: script || "Other" };
  };

  // Both names of a language, the second one in its own tongue and direction.
  MUTE.bothNames = function (study, code) {
    const own = MUTE.language(study, code);
    const second = own.own && own.own !== own.name;
    return [own.name, ...(second ? [" ", el("span", { class: "own", lang: own.tag, dir: "auto" }, own.own)] : [])];
  };

  MUTE.band = function (band) {
    if (band === "all") return "all blocks";
    if (band === "full") return "every parameter";
    return /^\d+$/.test(band) ? `block\u00a0${band}` : `blocks\u00a0${band}`;
  };

  // As it stands under a column: blocks in a row by their ends.
  MUTE.shortBand = function (band) {
    const blocks = band.split("-").map(Number);
    const inRow = blocks.length > 2 && blocks.every((block, i) => !i || block === blocks[i - 1] + 1);
    return inRow ? `${blocks[0]}–${blocks[blocks.length - 1]}` : band.length > 7 ? `${band.slice(0, 6)}…` : band;
  };

  const STATUSES = new Map([
    ["ok", "the edit did what it was asked to"],
    ["not_reached", "the source languages did not forget within the steps allowed"],
    ["diverged", "a loss or the model was no number any more: there is no score"],
    ["no_edit", "next to nothing was changed"],
    ["destroyed", "the model lost more than half of what it could do in the source languages"],
    ["nothing_to_forget", "the model did not know the facts before the edit"],
    ["not_applicable", "the method cannot run here"],
  ]);
  MUTE.statuses = STATUSES;
  MUTE.status = (word) => STATUSES.get(word) || "";

  MUTE.select = function (label, options, chosen, change) {
    const list = el("select", { on: { change: () => change(list.value) } });
    for (const [value, words] of options) list.append(el("option", { value, selected: value === chosen }, words));
    return el("label", { class: "control" }, el("span", {}, label), list);
  };

  MUTE.button = (words, run, attributes) => el("button", { type: "button", ...attributes, on: { click: run } }, words);

  MUTE.save = function (name, type, text) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  MUTE.fileName = (...parts) => parts.join("-").replace(/[^A-Za-z0-9.-]+/g, "_").slice(0, 100);

  // A table in a box of its own, which alone scrolls sideways. rows: of texts, nodes, or {node, attributes}.
  MUTE.grid = function (heads, rows, caption) {
    const head = el("tr", {}, heads.map((words) => el("th", { scope: "col" }, words)));
    const body = rows.map((row) =>
      el("tr", {}, row.map((cell) => (cell && cell.attributes ? el("td", cell.attributes, cell.words) : el("td", {}, cell)))),
    );
    const table = el("table", {}, caption ? el("caption", {}, caption) : null, el("thead", {}, head), el("tbody", {}, body));
    return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption || "table" }, table);
  };
})();
