// One cell: what the edit did in each language, how it got there, what the lens and attacks show, what it answers.
"use strict";
(function () {
  const { el, state } = MUTE;

  function find(study) {
    const edit = study.edits.find((own) => own.cells.includes(state.get("cell")));
    const place = study.cases.length ? MUTE.caseOf(study) : 0;
    return edit || study.edits.find((own) => own.case === place) || study.edits[0];
  }

  function byLanguage(study, edit, own) {
    const codes = [...own.source, ...own.heldout];
    const rows = codes.map((code, i) => {
      const k = edit.numbers.K.languages[i];
      const c = edit.numbers.C.languages[i];
      return { code, k, c, role: own.source.includes(code) ? "source" : "held out" };
    });
    const grid = MUTE.grid(
      ["language", "script", "role", "K, knowledge left", "C, capability kept", "facts"],
      rows.map((row) => [
        MUTE.bothNames(study, row.code), MUTE.language(study, row.code).script, row.role, MUTE.interval(row.k), MUTE.interval(row.c), row.k && row.k[3] ? String(row.k[3]) : "–",
      ]),
      "By language, with 95 % intervals",
    );
    const groups = MUTE.grid(
      ["", "K", "C"],
      [["worst", "worst held-out language"], ["heldout", "held-out languages, mean"], ["source", "source languages, mean"]].map(([key, words]) => [words, MUTE.interval(edit.numbers.K.groups[key]), MUTE.interval(edit.numbers.C.groups[key])])
        .concat([["leak: K held out less K source", MUTE.interval(edit.leak.all), ""], ["leak, worst held-out language", MUTE.interval(edit.leak.worst), ""]]),
      "Over languages",
    );
    const points = rows.filter((row) => row.k).map((row) => ({ name: MUTE.language(study, row.code).name, value: row.k[0], low: row.k[1] ?? row.k[0], high: row.k[2] ?? row.k[0], role: row.role }));
    const chart = points.length
      ? MUTE.drawing(`K by language, ${MUTE.band(edit.band)}`, {
          width: Math.min(MUTE.width(), 560), height: 50 + points.length * 24, marginLeft: 100,
          x: { label: "K, with its 95 % interval →", grid: true, domain: [Math.min(0, d3.min(points, (d) => d.low)), Math.max(1, d3.max(points, (d) => d.high))] },
          y: { label: null, domain: points.map((d) => d.name) },
          marks: [Plot.ruleX([0, 1], { stroke: "#777777" }), Plot.ruleY(points, { y: "name", x1: "low", x2: "high", strokeWidth: 2, stroke: "#555555" }), Plot.dot(points, { y: "name", x: "value", r: 5, fill: (d) => (d.role === "source" ? "#D55E00" : "#0072B2"), symbol: (d) => (d.role === "source" ? "square" : "circle") })],
        }, "Circles: held-out languages. Squares: source languages.")
      : null;
    return el("section", {}, el("h3", {}, "What is left, by language"), el("div", { class: "maps" }, chart, el("div", {}, groups, grid)));
  }

  function curves(cell) {
    const table = MUTE.table(cell.curves);
    if (!table.rows) return null;
    const rows = table.each(["strength", "step", "loss", "knowledge", "size", "share"]).map(([strength, step, loss, knowledge, size, share]) => ({ strength: strength === null || strength === "" ? "one run" : String(strength), step, loss, knowledge, size, dose: share !== null && share !== "" }));
    const names = [...new Set(rows.map((row) => row.strength))].sort((a, b) => a - b);
    const range = d3.quantize(d3.interpolateViridis, names.length + 1).slice(0, names.length);
    const box = el("section", {}, el("h3", {}, "On the way: by step"));
    box.append(el("p", {}, names.length > 1 ? `One line for each strength that was tried${cell.row.strength ? `; ${cell.row.strength} was kept` : ""}.` : "One run."));
    const pair = el("div", { class: "maps" });
    box.append(pair);
    for (const [key, words] of [["knowledge", "K in the source languages, at looks"], ["loss", "Loss, by step"], ["size", "Size of the change, of the weights' norm"]]) {
      const own = rows.filter((row) => row[key] !== null && row.step !== null);
      if (!own.length) continue;
      pair.append(
        MUTE.drawing(words, {
          width: Math.min(MUTE.width(), 560), height: 240, marginLeft: 56, x: { label: "step" }, y: { label: key, grid: true, tickFormat: key === "size" ? "~g" : undefined },
          color: { domain: names, range },
          marks: [Plot.lineY(own, { x: "step", y: key, z: "strength", stroke: "strength" }), key === "loss" ? null : Plot.dot(own, { x: "step", y: key, fill: "strength", r: 3 }), Plot.text(own, Plot.selectLast({ x: "step", y: key, z: "strength", text: names.length > 1 ? "strength" : () => "", textAnchor: "end", dy: -8, fill: "#1a1a1a" }))],
        }, `${own.length} points, ${names.length > 1 ? "one line for each strength" : "one line"}.`),
      );
    }
    return box;
  }

  function lens(study, cell, own) {
    const box = el("section", {}, el("h3", {}, "Inside: the logit lens by block"));
    const after = MUTE.table(cell.lens);
    const before = MUTE.table(cell.base);
    if (!after.rows && !before.rows) return null;
    box.append(el("p", {}, "The model is read at each block as if it ended there: the probability of the right answer among its options. Dark: the answer is there."));
    const codes = [...own.heldout, ...own.source];
    const pair = el("div", { class: "maps" });
    box.append(MUTE.legend("Probability of the right answer, 0 to 1."), pair);
    for (const [table, words] of [[before, "Before the edit"], [after, "After the edit"]]) {
      if (!table.rows) continue;
      const found = new Map(table.each(["language", "block", "probability"]).map(([code, block, value]) => [`${code} ${block}`, value]));
      const blocks = [...new Set(table.each(["block"]).map(([block]) => block))].sort((a, b) => a - b);
      const there = codes.filter((code) => blocks.some((block) => found.has(`${code} ${block}`)));
      const squares = there.flatMap((code) => blocks.map((block) => {
        const value = found.get(`${code} ${block}`) ?? null;
        return { x: String(block), y: code, value, faint: false, label: `${MUTE.language(study, code).name}, block ${block}: ${MUTE.decimal(value)}` };
      }));
      pair.append(MUTE.heatmap(`${words}: probability of the right answer`, squares, blocks.map(String), there.map((code) => ({ key: code, name: MUTE.language(study, code).name })), { width: Math.min(MUTE.width(), 560), left: 104, across: "block", hint: "Point at a square, or go to it with the arrow keys." }));
    }
    return box;
  }

  function attacks(edit, study, given) {
    const own = given.rows.filter((row) => row.case === edit.case && row.algorithm === edit.algorithm && row.band === edit.band);
    if (!own.length) return null;
    const rows = own.flatMap((row) => [
      ["this edit", row.numbers.worst || row.numbers.heldout, "#0072B2"], ["a model that never knew", row.numbers.oracle, "#777777"],
    ].filter(([, number]) => number).map(([who, number, colour]) => ({ attack: MUTE.plain(row.attack), who, value: number[0], low: number[1] ?? number[0], high: number[2] ?? number[0], colour })));
    const names = [...new Set(rows.map((row) => row.attack))];
    const worst = own.some((row) => row.numbers.worst);
    const words = `K after each attack, ${worst ? "worst held-out language" : "mean of held-out languages"}. Circles: this edit. Crosses: a model that never knew. Above one half the edit hid what it should have erased.`;
    return el("section", {}, el("h3", {}, "What attacks bring back"),
      MUTE.drawing("K after attacks", { width: Math.min(MUTE.width(), 700), height: 60 + names.length * 24, marginLeft: 130, x: { grid: true, label: "K after the attack →", domain: [Math.min(0, d3.min(rows, (d) => d.low)), Math.max(1, d3.max(rows, (d) => d.high))] }, y: { domain: names, label: null },
        marks: [Plot.ruleX([0.5], { stroke: "#777777", strokeDasharray: "3,3" }), Plot.ruleY(rows, { y: "attack", x1: "low", x2: "high", stroke: "colour" }), Plot.dot(rows, { y: "attack", x: "value", stroke: "colour", fill: (d) => (d.who === "this edit" ? d.colour : "#ffffff"), symbol: (d) => (d.who === "this edit" ? "circle" : "times"), r: 5 })] }, words),
      MUTE.grid(["attack", "worst held-out", "held out, mean", "source, mean", "base", "never knew"], own.map((row) => [MUTE.plain(row.attack), ...["worst", "heldout", "source", "base", "oracle"].map((key) => MUTE.interval(row.numbers[key]))]), "K after attacks"));
  }

  const KINDS = { right: "right", other_value: "another value", other_language: "right, in another language", other_both: "another value, in another language", unknown: "says it does not know", neither: "something else" };

  function answers(study, cell) {
    const box = el("section", {}, el("h3", {}, "Questions and answers, before and after"));
    if (!cell.answers.length) {
      box.append(el("p", {}, "No answers are here: they stand in a folder of results, and are no part of frozen tables."));
      return box;
    }
    const place = el("div", {});
    const codes = [...new Set(cell.answers.map((row) => row.language))];
    const draw = () => {
      const chosen = state.get("l");
      const changed = state.get("changed") === "1";
      const rows = cell.answers.filter((row) => (!codes.includes(chosen) || row.language === chosen) && (!changed || row.said !== row.after));
      const said = (row, key, kind) => {
        const tag = MUTE.language(study, row.language).tag;
        const mark = row[kind] === "right" ? "✓ " : "";
        return { attributes: { class: "said" }, words: [el("span", { lang: tag, dir: "auto", class: "text" }, row[key] || "(nothing)"), el("span", { class: "small kind" }, mark + (KINDS[row[kind]] || row[kind]))] };
      };
      place.replaceChildren(
        el("p", { class: "small", role: "status" }, `${rows.length} of ${cell.answers.length} questions`),
        MUTE.grid(["language", "question", "right answer", "before the edit", "after it"], rows.slice(0, 200).map((row) => {
          const text = { lang: MUTE.language(study, row.language).tag, dir: "auto", class: "text" };
          return [MUTE.bothNames(study, row.language), { words: row.question, attributes: text }, { words: row.right, attributes: text }, said(row, "said", "kind"), said(row, "after", "after_kind")];
        }), "Questions on facts to be forgotten"),
      );
    };
    box.append(
      el("div", { class: "controls" },
        MUTE.select("Language", [["", "all"], ...codes.map((code) => [code, MUTE.language(study, code).name])], state.get("l"), (l) => { state.set({ l }); draw(); }),
        MUTE.select("Which", [["", "every question"], ["1", "where the answer changed"]], state.get("changed"), (changed) => { state.set({ changed }); draw(); })),
      place,
    );
    draw();
    return box;
  }

  function flat(value, before = "") {
    if (value === null || typeof value !== "object") return [[before, value === null ? "–" : String(value)]];
    if (Array.isArray(value)) return [[before, value.every((v) => typeof v !== "object") ? value.join(", ") : JSON.stringify(value)]];
    return Object.entries(value).flatMap(([key, inner]) => flat(inner, before ? `${before}.${key}` : key));
  }

  function record(cell) {
    const rows = [...flat(cell.row), ...flat(cell.record)];
    return el("details", {}, el("summary", {}, "The record of this cell"), MUTE.grid(["key", "value"], rows.map(([key, value]) => [{ words: key, attributes: { dir: "auto" } }, { words: value, attributes: { dir: "auto", class: "text" } }]), "Record"));
  }

  function scores(cell) {
    const table = MUTE.table(cell.scores);
    const box = el("details", {}, el("summary", {}, `All ${table.rows} scores of this cell`));
    box.addEventListener("toggle", () => box.open && box.childElementCount === 1 && box.append(MUTE.rowsBox(table, MUTE.fileName("scores", cell.id), false)));
    return box;
  }

  MUTE.views.set("cell", {
    title: "Cell",
    async draw(box) {
      const study = MUTE.studyOf();
      const edit = find(study);
      if (!edit) return box.append(el("p", { class: "notice" }, "No cell has landed yet."));
      const own = study.cases[edit.case];
      const id = edit.cells.includes(state.get("cell")) ? state.get("cell") : edit.cells[0];
      const s = MUTE.studies.indexOf(study);
      const siblings = MUTE.editsOf(study, edit.case, edit.algorithm);
      const go = (other) => (location.hash = MUTE.cellLink(study, other));
      const names = MUTE.algorithmsOf(study, edit.case);
      box.append(el("div", { class: "controls" },
        MUTE.select("Model and setting", MUTE.caseOptions(study), MUTE.caseKey(own), (key) => { const place = study.cases.findIndex((c) => MUTE.caseKey(c) === key); const to = MUTE.editsOf(study, place, edit.algorithm)[0] || MUTE.editsOf(study, place, null)[0]; if (to) go(to); }),
        MUTE.select("Method", names.map((i) => [String(i), MUTE.plain(study.algorithms[i].name)]), String(edit.algorithm), (i) => go(MUTE.editsOf(study, edit.case, Number(i))[0])),
        MUTE.select("Edited", siblings.map((e) => [e.band, MUTE.band(e.band)]), edit.band, (band) => go(siblings.find((e) => e.band === band))),
        edit.cells.length > 1 ? MUTE.select("Unlearning seed", edit.cells.map((cell, i) => [cell, `number ${i + 1}`]), id, (cell) => (location.hash = state.link({ view: "cell", cell, s: s || "", c: MUTE.caseKey(own) }))) : null));
      const about = study.algorithms[edit.algorithm];
      box.append(
        el("p", { class: "question", dir: "auto" }, `${MUTE.plain(about.name)} on ${MUTE.band(edit.band)} of ${own.model}: ${sentence(edit)}`),
        el("p", { class: "small", dir: "auto" }, [about.family && `family ${about.family}`, about.intent && `intent ${about.intent}`, about.paper, `training seed ${own.training_seed}`, `unlearned in ${own.source.map((code) => MUTE.language(study, code).name).join(", ")}`, `retain ${own.retain}`, `forget set ${own.forget_set}`, `protocol ${own.protocol}`].filter(Boolean).join(" · ")),
        el("p", {}, "Status ", el("strong", {}, MUTE.plain(edit.status)), MUTE.status(edit.status) ? `: ${MUTE.status(edit.status)}.` : "."),
        edit.cells.length > 1 ? el("p", { class: "small" }, "Numbers are means over unlearning seeds; curves, answers and the record are of the one that is chosen.") : "",
        byLanguage(study, edit, own),
      );
      const rest = el("div", { "aria-busy": "true" }, el("p", {}, "Reading the cell …"));
      box.append(rest);
      const [cell, given] = await Promise.all([MUTE.load(`cell-${s}-${id}`), MUTE.load(`attacks-${s}`)]);
      rest.removeAttribute("aria-busy");
      rest.replaceChildren(...[curves(cell), lens(study, cell, own), attacks(edit, study, given), answers(study, cell), scores(cell), record(cell)].filter(Boolean));
    },
  });

  // The outcome in words that need no paper.
  function sentence(edit) {
    const worst = edit.numbers.K.groups.worst || edit.numbers.K.groups.heldout;
    const source = edit.numbers.K.groups.source;
    if (!source && !worst) return "no score yet.";
    const part = (number) => (number ? `${Math.round(100 * Math.min(Math.max(number[0], 0), 1))} %` : "an unknown share");
    return `it still knows ${part(source)} of what it should have forgotten in the source languages, and ${part(worst)} in ${edit.numbers.K.groups.worst ? "the worst held-out language" : "held-out ones"}.`;
  }
})();
