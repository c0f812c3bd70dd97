// What is shown stands in the link: the part behind # holds the whole state of a view.
"use strict";
(function () {
  const state = { values: new Map() };
  MUTE.state = state;

  state.read = function () {
    state.values = new Map(new URLSearchParams(location.hash.slice(1)));
  };
  state.get = (key, otherwise = "") => (state.values.has(key) ? state.values.get(key) : otherwise);

  state.link = function (patch, keep = []) {
    const values = new URLSearchParams();
    for (const key of keep) if (state.values.has(key)) values.set(key, state.values.get(key));
    for (const [key, value] of Object.entries(patch)) if (value !== "" && value !== null) values.set(key, value);
    return `#${values}`;
  };

  // Change part of the state in place, as a control does: the view that is open draws itself again.
  state.set = function (patch) {
    for (const [key, value] of Object.entries(patch)) {
      if (value === "" || value === null) state.values.delete(key);
      else state.values.set(key, String(value));
    }
    history.replaceState(null, "", `#${new URLSearchParams([...state.values])}`);
  };

  // Cases by what tells them apart, so that a link holds when more of them land.
  MUTE.caseKey = (own) => [own.model, own.training_seed, own.sources, own.retain, own.forget_set, own.protocol].join("|");

  MUTE.caseName = function (study, own) {
    const differs = (key) => new Set(study.cases.map((other) => String(other[key]))).size > 1;
    const parts = [own.model];
    if (differs("training_seed")) parts.push(`training seed ${own.training_seed}`);
    if (differs("sources")) parts.push(`from ${own.source.join(" ")}`);
    if (differs("retain")) parts.push(`retain ${own.retain}`);
    if (differs("forget_set")) parts.push(`forget ${own.forget_set}`);
    if (differs("protocol")) parts.push(`${own.protocol} protocol`);
    return parts.join(", ");
  };

  MUTE.studyOf = function (key = "s") {
    const place = Number(state.get(key, "0"));
    return MUTE.studies[place] || MUTE.studies[0];
  };

  // The place of the case that the link names; else the first that the study's figures show.
  MUTE.caseOf = function (study, key = "c") {
    const named = study.cases.findIndex((own) => MUTE.caseKey(own) === state.get(key));
    return named >= 0 ? named : Math.max(study.cases.findIndex((own) => own.shown), 0);
  };

  MUTE.caseOptions = (study) => study.cases.map((own) => [MUTE.caseKey(own), MUTE.caseName(study, own)]);
  MUTE.studyOptions = () => MUTE.studies.map((own, place) => [String(place), own.name]);
})();
