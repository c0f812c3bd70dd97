// Two studies, or two methods of one, side by side, and what lies between them.
"use strict";
(function () {
  const { el, state } = MUTE;

  function side(label, end, redraw) {
    const study = MUTE.studies[Number(state.get(`s${end}`, MUTE.studies.length > 1 ? String(end - 1) : "0"))] || MUTE.studies[0];
    const s = MUTE.studies.indexOf(study);
    if (!study.cases.length) return { study, controls: el("p", {}, "No cell has landed yet."), algorithm: null };
    const place = MUTE.caseOf(study, `c${end}`);
    const there = MUTE.algorithmsOf(study, place);
    const named = there.find((i) => study.algorithms[i].name === state.get(`a${end}`));
    const algorithm = named ?? there[MUTE.studies.length > 1 ? 0 : Math.min(end - 1, there.length - 1)];
    const controls = el("fieldset", { class: "controls" }, el("legend", {}, label),
      MUTE.select("Study", MUTE.studyOptions(), String(s), (v) => { state.set({ [`s${end}`]: v, [`c${end}`]: "", [`a${end}`]: "" }); redraw(); }),
      MUTE.select("Model and setting", MUTE.caseOptions(study), MUTE.caseKey(study.cases[place]), (v) => { state.set({ [`c${end}`]: v, [`a${end}`]: "" }); redraw(); }),
      MUTE.select("Method", there.map((i) => [study.algorithms[i].name, MUTE.plain(study.algorithms[i].name)]), study.algorithms[algorithm].name, (v) => { state.set({ [`a${end}`]: v }); redraw(); }));
    return { study, place, algorithm, controls };
  }

  function difference(left, right, measure) {
    const metric = measure[0];
    const codes = (of) => [...of.study.cases[of.place].source, ...of.study.cases[of.place].heldout];
    const [a, b] = [codes(left), codes(right)];
    const shared = a.filter((code) => b.includes(code));
    const edits = [left, right].map((of) => new Map(MUTE.editsOf(of.study, of.place, of.algorithm).map((e) => [e.band, e])));
    const bands = [...edits[0].keys()].filter((band) => edits[1].has(band));
    const rows = bands.map((band) => {
      const pair = [edits[0].get(band), edits[1].get(band)];
      const numbers = pair.map((e) => e.numbers[metric].groups.worst || e.numbers[metric].groups.heldout);
      const apart = shared.map((code) => {
        const [x, y] = [pair[0].numbers[metric].languages[a.indexOf(code)], pair[1].numbers[metric].languages[b.indexOf(code)]];
        return x && y ? y[0] - x[0] : null;
      });
      return [MUTE.band(band), ...numbers.map(MUTE.interval), numbers[0] && numbers[1] ? MUTE.decimal(numbers[1][0] - numbers[0][0]) : "–", ...apart.map(MUTE.decimal)];
    });
    if (!rows.length) return el("p", { class: "notice" }, "The two have no edited block in common.");
    return MUTE.grid(["edited", `${metric} worst, left`, `${metric} worst, right`, "right less left", ...shared.map((code) => MUTE.language(left.study, code).name)], rows, `${measure[1]}: right less left, over the worst held-out language and in each`);
  }

  MUTE.views.set("compare", {
    title: "Compare",
    draw(box) {
      const place = el("div", {});
      const draw = () => {
        const measures = MUTE.studies[0].measures;
        const measure = measures.find(([key]) => key === state.get("m")) || measures[0];
        const [left, right] = [side("Left", 1, draw), side("Right", 2, draw)];
        const room = MUTE.width() >= 760 ? Math.min(MUTE.width() / 2 - 12, 600) : MUTE.width();
        const half = (of) => el("div", {}, of.controls, of.algorithm === null ? null : MUTE.map(of.study, of.place, of.algorithm, measure, room));
        place.replaceChildren(
          el("div", { class: "controls" }, MUTE.select("Show", measures.map(([key, words]) => [key, words]), measure[0], (m) => { state.set({ m }); draw(); })),
          MUTE.legend(`${measure[0]}, ${measure[1].toLowerCase()}. ${measure[2]}.`),
          el("div", { class: "pair" }, half(left), half(right)),
          left.algorithm === null || right.algorithm === null ? "" : difference(left, right, measure),
        );
      };
      box.append(el("p", { class: "question" }, "What is the difference between two studies, models or methods?"),
        el("p", {}, MUTE.studies.length > 1 ? "The two studies stand side by side, in the same shades." : "This folder holds one study: choose two of its methods or models. Another study stands beside it with --with FOLDER."), place);
      this.redraw = draw;
      draw();
    },
  });
})();
