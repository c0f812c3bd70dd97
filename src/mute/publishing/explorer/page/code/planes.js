// Views over all methods: forgetting against what it costs, and what attacks bring back.
"use strict";
(function () {
  const { el, state } = MUTE;

  function controls(study, place, redraw, more = []) {
    return el("div", { class: "controls" },
      MUTE.studies.length > 1 ? MUTE.select("Study", MUTE.studyOptions(), state.get("s", "0"), (s) => { state.set({ s, c: "", a: "", b: "" }); MUTE.render(); }) : null,
      MUTE.select("Model and setting", MUTE.caseOptions(study), MUTE.caseKey(study.cases[place]), (c) => { state.set({ c, b: "" }); redraw(); }),
      more);
  }

  function families(study, edits) {
    const there = [...new Set(edits.map((edit) => study.algorithms[edit.algorithm].family))];
    const known = Object.keys(study.families);
    there.sort((a, b) => (known.indexOf(a) + 1 || 99) - (known.indexOf(b) + 1 || 99));
    return there.map((family) => [family, study.families[family] || "#332288"]);
  }

  MUTE.views.set("frontier", {
    title: "Frontier",
    draw(box) {
      const study = MUTE.studyOf();
      if (!study.cases.length) return box.append(el("p", { class: "notice" }, "No cell has landed yet."));
      const drawing = el("div", {});
      const draw = () => {
        const place = MUTE.caseOf(study);
        const edits = MUTE.editsOf(study, place, null);
        const pick = (edit, metric) => edit.numbers[metric].groups.worst || edit.numbers[metric].groups.heldout;
        const kinds = families(study, edits);
        const hidden = state.get("votes") !== "";
        const colour = new Map(kinds);
        const points = edits.map((edit) => {
          const [k, c] = [pick(edit, "K"), pick(edit, "C")];
          if (!k || !c || (hidden && !edit.votes)) return null;
          const about = study.algorithms[edit.algorithm];
          return { x: k[0], y: c[0], kind: about.family, colour: colour.get(about.family), faint: !edit.votes, edit, label: `${MUTE.plain(about.name)}, ${MUTE.band(edit.band)}: K ${MUTE.interval(k)}, C ${MUTE.interval(c)}${edit.status === "ok" ? "" : `; status ${MUTE.plain(edit.status)}`}` };
        }).filter(Boolean);
        const high = Math.max(1, d3.max(points, (p) => p.x) || 1, d3.max(points, (p) => p.y) || 1);
        const ends = [Math.min(0, d3.min(points, (p) => p.x) || 0), Math.min(1.2, high)];
        drawing.replaceChildren(
          controls(study, place, draw, [MUTE.select("Which", [["", "every edit"], ["1", "those that stand in verdicts"]], state.get("votes"), (votes) => { state.set({ votes }); draw(); })]),
          points.length ? MUTE.markKey(kinds) : "",
          points.length ? MUTE.plane("Capability kept against knowledge left", points, {
            width: Math.min(MUTE.width(), 760), kinds, across: "K left in the worst held-out language (0: forgotten) →", up: "↑ C kept there (1: nothing lost)", xDomain: ends, yDomain: [Math.min(0, d3.min(points, (p) => p.y)), Math.min(1.2, high)],
            hint: "Point at a mark, or go to it with the arrow keys; Enter or a click opens its cell. Hollow marks stand in no verdict.",
            open: (point) => (location.hash = MUTE.cellLink(study, point.edit)),
          }) : el("p", { class: "notice" }, "No edit has both numbers yet."),
          table(study, points),
        );
      };
      box.append(el("p", { class: "question" }, "Does an edit forget everywhere without breaking the model?"), el("p", {}, "Each mark is one edit. ", el("strong", {}, "The best corner is the upper left"), ": nothing of it is known in any held-out language, and all else still works."), drawing);
      this.redraw = draw;
      draw();
    },
  });

  function table(study, points) {
    const sorted = [...points].sort((a, b) => a.x - b.x).slice(0, 300);
    return el("details", {}, el("summary", {}, "The same as a table"), MUTE.grid(["method", "edited", "K worst", "C worst", "status"], sorted.map((p) => [el("a", { href: MUTE.cellLink(study, p.edit) }, MUTE.plain(study.algorithms[p.edit.algorithm].name)), MUTE.band(p.edit.band), MUTE.decimal(p.x), MUTE.decimal(p.y), MUTE.plain(p.edit.status)]), "Edits by knowledge left"));
  }

  MUTE.views.set("attacks", {
    title: "Attacks",
    async draw(box) {
      const study = MUTE.studyOf();
      if (!study.cases.length) return box.append(el("p", { class: "notice" }, "No cell has landed yet."));
      const given = await MUTE.load(`attacks-${MUTE.studies.indexOf(study)}`);
      const drawing = el("div", {});
      const draw = () => {
        const place = MUTE.caseOf(study);
        const rows = given.rows.filter((row) => row.case === place);
        const bands = [...new Set(MUTE.editsOf(study, place, null).map((edit) => edit.band))].filter((band) => rows.some((row) => row.band === band));
        const band = bands.includes(state.get("b")) ? state.get("b") : "";
        const group = ["worst", "heldout", "source"].find((key) => key === state.get("g")) || "worst";
        const names = given.attacks.filter((name) => rows.some((row) => row.attack === name));
        const methods = [...new Set(rows.map((row) => row.algorithm))].sort((a, b) => a - b);
        const squares = methods.flatMap((algorithm) => names.map((attack) => {
          const own = rows.filter((row) => row.algorithm === algorithm && row.attack === attack && (!band || row.band === band) && row.numbers[group]);
          const most = own.length ? own.reduce((a, b) => (b.numbers[group][0] > a.numbers[group][0] ? b : a)) : null;
          const number = most && most.numbers[group];
          const edit = most && study.edits.find((e) => e.case === place && e.algorithm === algorithm && e.band === most.band);
          return { x: attack, y: String(algorithm), value: number ? number[0] : null, faint: Boolean(edit && !edit.votes), edit, label: `${MUTE.plain(study.algorithms[algorithm].name)} after ${MUTE.plain(attack)}${most ? `, ${MUTE.band(most.band)}: K ${MUTE.interval(number)}; a model that never knew ${MUTE.interval(most.numbers.oracle)}` : ": not tried"}` };
        }));
        drawing.replaceChildren(
          controls(study, place, draw, [
            MUTE.select("Edited", [["", "the block at which most comes back"], ...bands.map((b) => [b, MUTE.band(b)])], band, (b) => { state.set({ b }); draw(); }),
            MUTE.select("Languages", [["worst", "worst held-out"], ["heldout", "held out, mean"], ["source", "source, mean"]], group, (g) => { state.set({ g }); draw(); })]),
          MUTE.legend("K after the attack. Dark: it came back, so that it was hidden and not erased. Grey: not tried, or no score of this kind."),
          squares.length ? MUTE.wideBox(MUTE.heatmap("Knowledge after attacks, by method", squares, names, methods.map((i) => ({ key: String(i), name: MUTE.plain(study.algorithms[i].name) })), {
            width: Math.max(MUTE.width() > 900 ? 900 : MUTE.width(), 150 + names.length * 40), left: 130, most: 110, across: "attack", column: (name) => (MUTE.plain(name).length > 14 ? `${MUTE.plain(name).slice(0, 13)}…` : MUTE.plain(name)), rotate: names.length > 6 ? -30 : 0,
            hint: "Point at a square, or go to it with the arrow keys; Enter or a click opens its cell.",
            open: (square) => square.edit && (location.hash = MUTE.cellLink(study, square.edit)),
          })) : el("p", { class: "notice" }, "No attack on this model has landed yet."),
        );
      };
      box.append(el("p", { class: "question" }, "Is it gone, or only hidden?"), el("p", {}, "Each square is one method (row) after one attack that tries to bring back what was to be forgotten."), drawing);
      this.redraw = draw;
      draw();
    },
  });
})();
