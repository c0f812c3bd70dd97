// Tables: every row that the pages were given, with a filter, an order, and what is shown as CSV.
"use strict";
(function () {
  const { el, state } = MUTE;
  const PAGE = 40;

  // Text that a spreadsheet would take for a formula gets a sign before it.
  const field = (value, isNumber) => {
    if (value === null) return "";
    const text = isNumber ? String(value) : /^[=+@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  // A table with its filter. kept: whether filter and order stand in the link.
  MUTE.rowsBox = function (table, name, kept) {
    let texts = null;
    let words = kept ? state.get("q") : "";
    let order = kept ? state.get("o") : "";
    let shown = PAGE;
    let found = [];
    const count = el("p", { class: "small", role: "status" });
    const place = el("div", {});
    const keep = () => kept && state.set({ q: words, o: order });

    function filter() {
      texts = texts || d3.range(table.rows).map((row) => table.names.map((own) => String(table.get(row, own) ?? "")).join(" ").toLowerCase());
      const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
      found = [];
      for (let row = 0; row < table.rows; row++) if (parts.every((part) => texts[row].includes(part))) found.push(row);
      const own = order.replace(/^-/, "");
      if (table.names.includes(own)) {
        const sign = order.startsWith("-") ? -1 : 1;
        const values = new Map(found.map((row) => [row, table.get(row, own)]));
        found.sort((a, b) => {
          const [x, y] = [values.get(a), values.get(b)];
          if (x === null || y === null) return (x === null) - (y === null) || a - b;
          return (typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0) * sign || a - b;
        });
      }
    }
    function draw() {
      const head = el("tr", {}, table.names.map((own) => {
        const now = order === own ? "ascending" : order === `-${own}` ? "descending" : "none";
        const arrow = { ascending: " ↑", descending: " ↓", none: "" }[now];
        return el("th", { scope: "col", "aria-sort": now }, MUTE.button(own + arrow, () => { order = order === own ? `-${own}` : own; keep(); update(own); }, { class: "sort", "data-column": own }));
      }));
      const body = found.slice(0, shown).map((row) => el("tr", {}, table.names.map((own) => {
        const value = table.get(row, own);
        return el("td", table.isNumber(own) ? { class: "number" } : { dir: "auto" }, value === null ? "" : String(value));
      })));
      place.replaceChildren(
        el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Rows" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))),
        found.length > shown ? MUTE.button(`Show ${Math.min(PAGE, found.length - shown)} more`, () => { shown += PAGE; draw(); }) : "",
      );
      count.textContent = `${found.length} of ${table.rows} rows, ${Math.min(shown, found.length)} shown`;
    }
    function update(focus) {
      filter();
      draw();
      if (focus) [...place.querySelectorAll("[data-column]")].find((node) => node.dataset.column === focus).focus();
    }
    const input = el("input", { type: "search", value: words, placeholder: "words that a row must have", autocomplete: "off", spellcheck: "false", dir: "auto", on: { input: () => { words = input.value; shown = PAGE; keep(); update(); } } });
    const csv = () => [table.names, ...found.map((row) => table.names.map((own) => field(table.get(row, own), table.isNumber(own))))].map((line) => line.join(",")).join("\r\n");
    update();
    return el("div", {}, el("div", { class: "controls" }, el("label", { class: "control" }, el("span", {}, "Filter"), input), MUTE.button("Save these rows as CSV", () => MUTE.save(`${name}.csv`, "text/csv;charset=utf-8", `\ufeff${csv()}\r\n`))), count, place);
  };

  MUTE.views.set("rows", {
    title: "Rows",
    async draw(box) {
      const study = MUTE.studyOf();
      const s = MUTE.studies.indexOf(study);
      if (!study.tables.length) return box.append(el("p", { class: "notice" }, "No table has landed yet."));
      const names = study.tables.map(([name]) => name);
      const chosen = names.includes(state.get("t")) ? state.get("t") : names[0];
      const place = el("div", {}, el("p", {}, "Reading the rows …"));
      box.append(
        el("p", { class: "question" }, "The numbers themselves, as the tables of the study have them."),
        el("p", {}, "Of scores these are K, C, leaks and what attacks bring back; all others stand in the view of their cell."),
        el("div", { class: "controls" },
          MUTE.studies.length > 1 ? MUTE.select("Study", MUTE.studyOptions(), String(s), (v) => { state.set({ s: v, t: "", q: "", o: "" }); MUTE.render(); }) : null,
          MUTE.select("Table", study.tables.map(([name, rows]) => [name, `${name} (${rows} rows)`]), chosen, (t) => { state.set({ t, q: "", o: "" }); MUTE.render(); })),
        place,
      );
      const given = await MUTE.load(`table-${s}-${chosen}`);
      place.replaceChildren(MUTE.rowsBox(MUTE.table(given), MUTE.fileName(study.name, chosen), true));
    },
  });
})();
