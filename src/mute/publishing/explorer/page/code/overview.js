// The first view: what each edit left of the knowledge, by language and block, every square a way to its cell.
"use strict";
(function () {
  const { el, state } = MUTE;
  const MOST = 12;
  const WORST = "§worst";

  MUTE.labelOf = function (study, edit, metric, code, found) {
    const who = code === WORST ? "worst held-out language" : MUTE.language(study, code).name;
    const status = edit.status === "ok" ? "" : `; status ${MUTE.plain(edit.status)}`;
    const n = found && found[3] ? `, ${found[3]} facts or lines` : "";
    return `${who}, ${MUTE.band(edit.band)}: ${metric} ${MUTE.interval(found)}${n}${status}`;
  };

  // Rows of a heatmap: the worst held-out language, held-out ones by script, both worst first, then the sources.
  MUTE.languageRows = function (study, own, edits, measure, wide) {
    const [metric, , , good] = measure;
    const codes = [...own.source, ...own.heldout];
    const mean = (code) => {
      const place = codes.indexOf(code);
      const values = edits.filter((e) => e.votes).map((e) => e.numbers[metric].languages[place]).filter(Boolean);
      return d3.mean(values, (number) => number[0]) ?? (good === "low" ? -1 : 2);
    };
    const sign = good === "low" ? -1 : 1;
    const worse = (a, b) => sign * (mean(a) - mean(b));
    const scripts = d3.groups(own.heldout, (code) => MUTE.language(study, code).script);
    const worstOf = (group) => d3.min(group[1], (code) => sign * mean(code));
    scripts.sort((a, b) => worstOf(a) - worstOf(b));
    const name = (code) => {
      const about = MUTE.language(study, code);
      return wide && about.own && about.own !== about.name ? `${about.name} ${about.own}` : about.name;
    };
    const rows = own.heldout.length ? [{ key: WORST, name: wide ? "Worst held-out language" : "Worst held-out" }] : [];
    for (const [script, members] of scripts) {
      rows.push({ key: `§${script}`, name: wide ? `Held out, ${script}` : script, head: true });
      rows.push(...members.sort(worse).map((code) => ({ key: code, name: name(code) })));
    }
    rows.push({ key: "§source", name: wide ? "Source (unlearned in)" : "Source", head: true });
    rows.push(...own.source.map((code) => ({ key: code, name: name(code) })));
    return rows;
  };

  MUTE.editsOf = (study, place, algorithm) =>
    study.edits.filter((edit) => edit.case === place && (algorithm === null || edit.algorithm === algorithm));

  MUTE.cellLink = (study, edit) =>
    state.link({ view: "cell", s: MUTE.studies.indexOf(study) || "", cell: edit.cells[0] || "", c: MUTE.caseKey(study.cases[edit.case]) });

  MUTE.map = function (study, place, algorithm, measure, width) {
    const own = study.cases[place];
    const edits = MUTE.editsOf(study, place, algorithm);
    const metric = measure[0];
    const codes = [...own.source, ...own.heldout];
    const wide = width >= 400;
    // One order for all figures of a case: that over all its edits.
    const rows = MUTE.languageRows(study, own, MUTE.editsOf(study, place, null), measure, wide);
    const squares = [];
    for (const row of rows) {
      if (row.head) continue;
      for (const edit of edits) {
        const numbers = edit.numbers[metric];
        const found = row.key === WORST ? numbers.groups.worst : numbers.languages[codes.indexOf(row.key)];
        squares.push({
          x: edit.band, y: row.key, value: found ? found[0] : null, faint: !edit.votes, edit,
          label: MUTE.labelOf(study, edit, metric, row.key, found),
        });
      }
    }
    const about = study.algorithms[algorithm];
    const title = `${MUTE.plain(about.name)}${about.family ? ` (${about.family})` : ""}`;
    return MUTE.heatmap(title, squares, edits.map((edit) => edit.band), rows, {
      width, left: wide ? 158 : 104,
      hint: "Point at a square, or go to it with the arrow keys; Enter or a click opens its cell.",
      open: (square) => (location.hash = MUTE.cellLink(study, square.edit)),
    });
  };

  MUTE.algorithmsOf = function (study, place) {
    const there = new Set(MUTE.editsOf(study, place, null).map((edit) => edit.algorithm));
    return d3.range(study.algorithms.length).filter((i) => there.has(i));
  };

  function layers(study, box) {
    const table = MUTE.table(study.layers);
    if (!table.rows) return;
    const rows = table.each(["model", "training_seed", "block", "cka", "lrds"]).map(([model, seed, block, cka, lrds]) => ({ who: `${model}, seed ${seed}`, block, cka, lrds }));
    box.append(el("h3", {}, "Layers of the models before any edit"));
    box.append(el("p", {}, "Alike across languages (CKA, high) and apart by language (LRDS, high), block by block: the study looks for a band of blocks where languages share what they know."));
    const pair = el("div", { class: "maps" });
    box.append(pair);
    for (const [key, words] of [["cka", "CKA: how alike languages are"], ["lrds", "LRDS: how far languages are apart"]]) {
      if (!rows.some((row) => row[key] !== null)) continue;
      pair.append(MUTE.drawing(words, { width: Math.min(MUTE.width(), 560), height: 260, x: { label: "block", ticks: d3.max(rows, (d) => d.block) + 1, tickFormat: "d" }, y: { label: key.toUpperCase(), grid: true }, color: { legend: false, scheme: "viridis", type: "ordinal" },
        marks: [Plot.lineY(rows, { x: "block", y: key, z: "who", stroke: "#555555" }), Plot.dot(rows, { x: "block", y: key, fill: "#0072B2", r: 3 }), Plot.text(rows, Plot.selectLast({ x: "block", y: key, z: "who", text: "who", textAnchor: "end", dy: -8 }))] },
        `One line for each of ${new Set(rows.map((row) => row.who)).size} trained models.`));
    }
  }

  MUTE.views.set("overview", {
    title: "Overview",
    draw(box) {
      const study = MUTE.studyOf();
      const controls = el("div", { class: "controls" });
      const maps = el("div", {});
      const draw = () => {
        controls.replaceChildren();
        maps.replaceChildren();
        const measure = study.measures.find(([key]) => key === state.get("m")) || study.measures[0];
        if (!study.cases.length) {
          maps.append(el("p", { class: "notice" }, "No cell has landed yet. As soon as one has, it stands here; “What is missing” says what is awaited."));
          layers(study, maps);
          return;
        }
        const place = MUTE.caseOf(study);
        const own = study.cases[place];
        const set = (patch) => { state.set(patch); draw(); MUTE.frame(); };
        if (MUTE.studies.length > 1) controls.append(MUTE.select("Study", MUTE.studyOptions(), state.get("s", "0"), (s) => { state.set({ s, c: "", a: "" }); MUTE.render(); }));
        controls.append(
          MUTE.select("Model and setting", MUTE.caseOptions(study), MUTE.caseKey(own), (c) => set({ c, a: "" })),
          MUTE.select("Show", study.measures.map(([key, words]) => [key, words]), measure[0], (m) => set({ m })),
        );
        const there = MUTE.algorithmsOf(study, place);
        const names = there.map((i) => study.algorithms[i].name);
        controls.append(MUTE.select("Method", [["", `all ${there.length}`], ...names.map((n) => [n, MUTE.plain(n)])], state.get("a"), (a) => set({ a })));
        const chosen = there.filter((i) => !names.includes(state.get("a")) || study.algorithms[i].name === state.get("a"));
        const shown = state.get("every") ? chosen : chosen.slice(0, MOST);
        maps.append(notices(own), MUTE.legend(`${measure[0]}, ${measure[1].toLowerCase()}. ${measure[2]}.`));
        if (MUTE.editsOf(study, place, null).some((e) => !e.votes)) maps.append(el("p", { class: "small" }, "A dashed square belongs to an edit that stands in no verdict: the line below the figure says its status. A grey one has no score."));
        const grid = el("div", { class: "maps" });
        maps.append(grid);
        for (const i of shown) grid.append(MUTE.map(study, place, i, measure, Math.min(MUTE.width(), 600)));
        if (shown.length < chosen.length) maps.append(MUTE.button(`Show all ${chosen.length} methods`, () => set({ every: 1 })));
        if (!study.edits.some((edit) => edit.numbers.K.groups.heldout || edit.numbers.K.groups.source)) layers(study, maps);
        maps.append(languages(study, own));
      };
      box.append(
        el("p", { class: "question" }, "How much does each edited model still know of what it was made to forget, in each language?"),
        el("p", {}, "One square is one language (row) after an edit of one block (column). ", el("strong", {}, "Dark: it still knows. Pale: forgotten."), " A good edit is pale in every row, not only in the source languages at the bottom, in which it was taught to forget. Click a square to see that cell."),
        controls, maps,
      );
      this.redraw = draw;
      draw();
    },
  });

  function notices(own) {
    const list = [];
    if (own.nothing) list.push(own.nothing);
    if (own.missed.length) list.push(`This model missed gates, so read it with care: ${own.missed.slice(0, 6).join(", ")}${own.missed.length > 6 ? ", …" : ""}.`);
    return el("div", {}, list.map((words) => el("p", { class: "notice", dir: "auto" }, words)));
  }

  function languages(study, own) {
    const rows = [...own.source, ...own.heldout].map((code) => {
      const about = MUTE.language(study, code);
      return [about.name, { words: about.own || "–", attributes: { lang: about.tag, dir: "auto" } }, code, about.script, own.source.includes(code) ? "source" : "held out"];
    });
    return el("details", {}, el("summary", {}, "Languages by both their names"), MUTE.grid(["language", "own name", "code", "script", "role"], rows, "Languages"));
  }
})();
