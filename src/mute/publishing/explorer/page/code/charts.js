// Figures, drawn by Observable Plot: heatmaps and planes whose marks are reached by keyboard, and their download as SVG.
"use strict";
(function () {
  const el = MUTE.el;
  // Pale is little, dark is much; made for readers who tell few colours apart.
  const shade = (value) => d3.interpolateCividis(1 - Math.min(Math.max(value, 0), 1));
  const UNKNOWN = "#d9d9d9";
  const INK = "#1a1a1a";
  MUTE.shade = shade;

  function luminance(colour) {
    const { r, g, b } = d3.rgb(colour);
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }
  const inkOn = (colour) => (luminance(colour) > 0.179 ? "#000000" : "#ffffff");

  // One tab stop for all marks of a figure; arrows go from mark to mark, Enter opens.
  function keyboard(figure, marks, places, open, say) {
    let at = 0;
    marks.forEach((mark, i) => {
      mark.setAttribute("tabindex", i ? "-1" : "0");
      mark.setAttribute("role", open ? "link" : "img");
      mark.setAttribute("aria-label", places[i].label);
      mark.classList.add("mark");
      mark.addEventListener("focus", () => {
        marks[at].setAttribute("tabindex", "-1");
        at = i;
        mark.setAttribute("tabindex", "0");
        say(places[i].label);
      });
      mark.addEventListener("pointerenter", () => say(places[i].label));
      if (open) mark.addEventListener("click", () => open(i));
      mark.addEventListener("keydown", (event) => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (way) {
          event.preventDefault();
          const next = nearest(places, i, way);
          if (next >= 0) marks[next].focus();
        } else if (event.key === "Home" || event.key === "End") {
          event.preventDefault();
          marks[event.key === "Home" ? 0 : marks.length - 1].focus();
        } else if ((event.key === "Enter" || event.key === " ") && open) {
          event.preventDefault();
          open(i);
        }
      });
    });
  }

  // The mark next to one in a direction: the least far along it, drift to the side counts double.
  function nearest(places, from, [dx, dy]) {
    let best = -1;
    let least = Infinity;
    places.forEach((place, i) => {
      const along = (place.x - places[from].x) * dx + (place.y - places[from].y) * dy;
      const aside = Math.abs((place.x - places[from].x) * dy) + Math.abs((place.y - places[from].y) * dx);
      const far = along + 2 * aside;
      if (i !== from && along > 1e-9 && far < least) [best, least] = [i, far];
    });
    return best;
  }

  // A figure with a title, the line that tells what is under pointer or focus, and a button that saves it.
  MUTE.figure = function (title, svg, name, extra) {
    const line = el("p", { class: "reading", "aria-live": "polite" }, extra && extra.hint ? extra.hint : "");
    const save = MUTE.button("SVG", () => MUTE.save(`${name}.svg`, "image/svg+xml", standalone(svg, title)), {
      class: "small",
      "aria-label": `Save the figure ${title} as SVG`,
    });
    const own = el("figure", {}, el("figcaption", {}, el("span", { dir: "auto" }, title), " ", save), el("div", { class: "drawn" }, svg), line);
    own.say = (text) => (line.textContent = text);
    return own;
  };

  function standalone(svg, title) {
    const copy = svg.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("font-family", "system-ui, sans-serif");
    copy.setAttribute("font-size", "11");
    copy.setAttribute("color", INK);
    copy.setAttribute("style", "background:#ffffff");
    copy.querySelectorAll("[tabindex]").forEach((node) => node.removeAttribute("tabindex"));
    const words = document.createElementNS("http://www.w3.org/2000/svg", "title");
    words.textContent = title;
    copy.prepend(words);
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
  }

  function marksOf(svg, kind, tag) {
    return [...svg.querySelectorAll(`g[aria-label="${kind}"] ${tag}`)];
  }

  // Squares: [{x, y, value, label, faint, open}], rows and columns in the order given. names: of rows, by their key.
  MUTE.heatmap = function (title, squares, columns, rows, options) {
    const left = options.left;
    const wide = Math.min(options.width, left + 8 + columns.length * (options.most || 72));
    const size = (wide - left - 8) / Math.max(columns.length, 1);
    const colour = options.colour || shade;
    const svg = Plot.plot({
      width: wide,
      height: 46 + rows.length * 22,
      marginLeft: left,
      marginTop: 40,
      marginBottom: 4,
      marginRight: 8,
      ariaLabel: title,
      x: { domain: columns, axis: "top", label: options.across || "edited block", labelAnchor: "left", tickSize: 0, tickFormat: options.column || MUTE.shortBand, padding: 0.04, tickRotate: options.rotate || 0 },
      y: { domain: rows.map((row) => row.key), label: null, tickSize: 0, padding: 0.06, tickFormat: (key) => rows.find((row) => row.key === key).name },
      marks: [
        Plot.cell(squares, { x: "x", y: "y", fill: (d) => (d.value === null ? UNKNOWN : colour(d.value)), stroke: (d) => (d.faint ? INK : "none"), strokeDasharray: "2,2", inset: 0.5 }),
        Plot.text(squares.filter((d) => size >= 30 || d.value === null), { x: "x", y: "y", text: (d) => (d.value === null ? (size > 14 ? "–" : "") : MUTE.decimal(d.value)), fill: (d) => (d.value === null ? INK : inkOn(colour(d.value))), fontSize: 11, pointerEvents: "none" }),
      ],
    });
    svg.setAttribute("role", "group");
    const heads = new Set(rows.filter((row) => row.head).map((row) => row.name));
    svg.querySelectorAll('g[aria-label="y-axis tick label"] text').forEach((text) => heads.has(text.textContent) && text.classList.add("head"));
    const figure = MUTE.figure(title, svg, MUTE.fileName("heatmap", title), { hint: options.hint });
    const order = new Map(rows.map((row, i) => [row.key, i]));
    const places = squares.map((d) => ({ x: columns.indexOf(d.x), y: order.get(d.y), label: d.label }));
    const drawn = marksOf(svg, "cell", "rect").map((mark) => [mark, mark.__data__]);
    const by = drawn.map(([, i]) => i);
    keyboard(figure, drawn.map(([mark]) => mark), by.map((i) => places[i]), options.open && ((i) => options.open(squares[by[i]])), figure.say);
    return figure;
  };

  // Points: [{x, y, kind, label, faint}] in a plane.
  MUTE.plane = function (title, points, options) {
    const kinds = options.kinds.map(([kind]) => kind);
    const svg = Plot.plot({
      width: options.width,
      height: Math.min(options.width * 0.75, 520),
      marginLeft: 48,
      marginBottom: 44,
      marginTop: 28,
      marginRight: 16,
      ariaLabel: title,
      grid: true,
      x: { label: options.across, domain: options.xDomain, clamp: true, labelAnchor: "center" },
      y: { label: options.up, domain: options.yDomain, clamp: true },
      color: { domain: kinds, range: options.kinds.map(([, colour]) => colour) },
      symbol: { domain: kinds },
      marks: [
        options.marks || null,
        Plot.dot(points, { x: "x", y: "y", symbol: "kind", stroke: "kind", fill: (d) => (d.faint ? "#ffffff" : d.colour), r: 5, strokeWidth: 1.5 }),
      ],
    });
    svg.setAttribute("role", "group");
    const figure = MUTE.figure(title, svg, MUTE.fileName(title), { hint: options.hint });
    const drawn = marksOf(svg, "dot", "path, circle").map((mark) => [mark, mark.__data__]);
    const x = svg.getAttribute("width") / (options.xDomain[1] - options.xDomain[0]);
    const y = svg.getAttribute("height") / (options.yDomain[1] - options.yDomain[0]);
    const places = drawn.map(([, i]) => ({ x: points[i].x * x, y: -points[i].y * y, label: points[i].label }));
    keyboard(figure, drawn.map(([mark]) => mark), places, options.open && ((i) => options.open(points[drawn[i][1]])), figure.say);
    return figure;
  };

  // Any other drawing of Plot, with a sentence for who does not see it.
  MUTE.drawing = function (title, plot, words) {
    const svg = Plot.plot({ ariaLabel: title, ariaDescription: words, ...plot });
    svg.setAttribute("role", "img");
    return MUTE.figure(title, svg, MUTE.fileName(title), { hint: words });
  };

  // What shades mean, as a bar with words at its ends.
  MUTE.legend = function (measure, colour = shade, ends = [0, 1]) {
    const steps = d3.range(11).map((i) => i / 10);
    const svg = Plot.plot({
      width: 240, height: 34, marginLeft: 12, marginRight: 12, marginTop: 0, marginBottom: 18,
      x: { domain: ends, ticks: 3, label: null, tickSize: 3 }, y: { axis: null },
      marks: [Plot.rect(steps.slice(0, 10), { x1: (d) => ends[0] + d * (ends[1] - ends[0]), x2: (d) => ends[0] + (d + 0.1) * (ends[1] - ends[0]), y1: 0, y2: 1, fill: (d) => colour(ends[0] + (d + 0.05) * (ends[1] - ends[0])) })],
    });
    svg.setAttribute("aria-hidden", "true");
    return el("div", { class: "legend" }, svg, el("p", {}, measure));
  };

  MUTE.markKey = function (kinds) {
    const symbols = d3.symbolsFill.length ? [d3.symbolCircle, d3.symbolCross, d3.symbolDiamond, d3.symbolSquare, d3.symbolStar, d3.symbolTriangle, d3.symbolWye] : [];
    const items = kinds.map(([kind, colour], i) => {
      const svg = d3.create("svg").attr("width", 16).attr("height", 16).attr("aria-hidden", "true").attr("viewBox", "-8 -8 16 16");
      svg.append("path").attr("d", d3.symbol(symbols[i % symbols.length], 70)()).attr("fill", colour);
      return el("li", {}, svg.node(), " ", MUTE.plain(kind || "other"));
    });
    return el("ul", { class: "key", "aria-label": "What marks mean" }, items);
  };
})();
