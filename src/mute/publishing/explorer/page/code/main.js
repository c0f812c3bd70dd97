// Puts a view on the page, by what the link says.
"use strict";
(function () {
  const { el, state } = MUTE;
  const main = document.getElementById("main");
  const ORDER = ["overview", "cell", "frontier", "attacks", "compare", "rows", "problems"];
  let last = "";
  let turn = 0;

  MUTE.width = () => Math.max(main.clientWidth - 8, 280);
  MUTE.wideBox = (figure) => el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "figure" }, figure);

  // Name, standing and the links to views: these keep the study that is chosen.
  MUTE.frame = function () {
    const study = MUTE.studyOf();
    const view = state.get("view", "overview");
    document.getElementById("title").textContent = study.name;
    document.title = `${MUTE.views.get(view).title}: ${study.name}`;
    const standing = document.getElementById("standing");
    const words = [study.standing.headline || "", study.problems.length ? `${study.problems.length} things are wrong with the tables: see “What is missing”.` : ""].filter(Boolean).join(" ");
    standing.hidden = !words;
    standing.textContent = words;
    document.getElementById("views").replaceChildren(...ORDER.map((name) =>
      el("li", {}, el("a", { href: state.link({ view: name }, ["s", "c", "cell"]), "aria-current": name === view ? "page" : null }, MUTE.views.get(name).title))));
  };

  MUTE.render = async function () {
    state.read();
    if (!MUTE.views.has(state.get("view", "overview"))) state.values.delete("view");
    const name = state.get("view", "overview");
    const view = MUTE.views.get(name);
    const own = ++turn;
    MUTE.frame();
    const box = el("div", { class: `view ${name}` }, el("h2", { tabindex: "-1" }, view.title));
    main.replaceChildren(box);
    try {
      await view.draw(box);
    } catch (error) {
      if (own === turn) box.append(el("p", { class: "notice", role: "alert" }, `This cannot be shown: ${error.message}`));
    }
    main.dataset.ready = `${name} ${own}`;
    // After a link was followed readers of screens go on at the head of the view.
    if (own === turn && last && last !== name) box.querySelector("h2").focus({ preventScroll: true });
    if (last && last !== name) scrollTo(0, 0);
    last = name;
  };

  let resizing = 0;
  let width = 0;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      if (MUTE.width() === width) return;
      width = MUTE.width();
      MUTE.render();
    }, 200);
  });
  addEventListener("hashchange", MUTE.render);

  async function start() {
    try {
      const names = await MUTE.load("studies");
      MUTE.studies = await Promise.all(names.map((_, place) => MUTE.load(`study-${place}`)));
    } catch (error) {
      main.replaceChildren(el("p", { class: "notice", role: "alert" }, `There is nothing to show: ${error.message}.`));
      return;
    }
    width = MUTE.width();
    MUTE.render();
  }
  start();
})();
