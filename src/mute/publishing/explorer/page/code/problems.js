// What is wrong with the tables, what has not landed yet, and what the words of the pages mean.
"use strict";
(function () {
  const { el } = MUTE;

  MUTE.views.set("problems", {
    title: "What is missing",
    draw(box) {
      for (const study of MUTE.studies) {
        const counts = d3.rollups(study.edits, (own) => own.length, (edit) => edit.status);
        const standing = study.standing || {};
        box.append(el("h3", { dir: "auto" }, study.name));
        if (standing.headline) box.append(el("p", { dir: "auto" }, standing.headline));
        if (study.problems.length) box.append(el("p", { class: "notice" }, `${study.problems.length} things are wrong with what was given. What is wrong is left out, and the rest is shown:`), el("ul", {}, study.problems.map((text) => el("li", { class: "text", dir: "auto" }, text))));
        else box.append(el("p", {}, "Nothing is wrong with the tables."));
        if (study.pending.length) box.append(el("p", {}, "Not there yet:"), el("ul", {}, study.pending.map((text) => el("li", { class: "text", dir: "auto" }, text))));
        if (standing.jobs && standing.jobs.length) box.append(MUTE.grid(["kind of job", "done", "of"], standing.jobs.map(([rule, done, all]) => [MUTE.plain(rule), String(done), String(all)]), "Jobs"));
        box.append(MUTE.grid(["status", "edits", "means"], counts.map(([word, n]) => [MUTE.plain(word), String(n), MUTE.status(word)]), "Edits by status"));
      }
      box.append(el("h3", {}, "Words"), el("dl", {}, ...[
        ["K, knowledge left", "Share of what the base model knows beyond its floor that is still known after the edit: 1 untouched, 0 as if never taught. The floor is what a model that never knew (an oracle) or a guess reaches."],
        ["C, capability kept", "Mean of what the model could do before, relative to the base: reading, sentences, translation, other facts, answering in the language asked. 1: nothing lost."],
        ["Source and held-out languages", "Unlearning reads texts in source languages alone; the others are held out, and show how far forgetting reaches."],
        ["Worst held-out language", "A mean hides the language that forgets least. This is the one in which the edit looks worst, chosen anew in each bootstrap replicate."],
        ["95 % intervals", "Stand in square brackets: bootstrap over facts or lines."],
        ["Cell", "One unlearning run: a model, a method, the blocks that it may change, languages, what is kept and what is to be forgotten, a seed."],
      ].flatMap(([word, text]) => [el("dt", {}, word), el("dd", {}, text)])));
    },
  });
})();
