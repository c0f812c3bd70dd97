// Files of data: each is a script that hands over a text of JSON, for a page opened from disk may not read files.
"use strict";
const MUTE = { views: new Map() };

(function () {
  const there = new Map();
  const waiting = new Map();

  MUTE.take = function (name, text) {
    const value = JSON.parse(text);
    there.set(name, value);
    if (waiting.has(name)) waiting.get(name).done(value);
  };

  // The content of data/<name>.js, loaded once. `name` never comes from data, but for digests, which are checked.
  MUTE.load = function (name) {
    if (there.has(name)) return Promise.resolve(there.get(name));
    if (waiting.has(name)) return waiting.get(name).promise;
    if (!/^[a-z]+(-[0-9]+)?(-[0-9a-z]+)?$/.test(name)) return Promise.reject(new Error(`no data are called ${name}`));
    const own = {};
    own.promise = new Promise((done, fail) => {
      own.done = done;
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => {
        waiting.delete(name);
        fail(new Error(`data/${name}.js is not there: it has not landed yet, or the folder was copied in part`));
      };
      document.head.append(script);
    });
    waiting.set(name, own);
    return own.promise;
  };

  // A table that came by columns: `get(row, name)` and the names of its columns.
  MUTE.table = function (given) {
    const columns = new Map((given ? given.columns : []).map((column) => [column.name, column]));
    return {
      rows: given ? given.rows : 0,
      names: [...columns.keys()],
      isNumber: (name) => Boolean(columns.get(name) && columns.get(name).numbers),
      get(row, name) {
        const column = columns.get(name);
        if (!column) return null;
        return column.numbers ? column.numbers[row] : column.words[column.codes[row]];
      },
      each(names) {
        return d3.range(this.rows).map((row) => names.map((name) => this.get(row, name)));
      },
    };
  };
})();
