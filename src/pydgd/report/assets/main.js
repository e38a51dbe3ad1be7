// The page in motion: one sample is chosen, its genes are filtered, sorted, drawn and saved.
const [OBSERVED, EXPECTED, CHANGE, SE, LOG_P, LOG_PADJ] = page.columns.keys();
const COLOURS = { up: "#d55e00", down: "#0072b2", neither: "rgba(120,120,120,.45)" };
const [FIRST_ROWS, MORE_ROWS, MOST_NAMES] = [25, 100, 20];
const lowerNames = page.genes.map((gene) => gene.toLowerCase());
const state = { sample: -1, wanted: -1, columns: null, calls: null, order: [], rows: FIRST_ROWS, marked: -1, by: LOG_P, ascending: true };

function thresholds() {
  const number = (id, otherwise) => (byId(id).value === "" ? otherwise : Number(byId(id).value));
  return { logPadj: Math.log10(number("padj", 1)), change: number("log2fc", 0) };
}

// +1 up, -1 down, 0 unchanged, as pydgd.pl.volcano calls them.
function call() {
  const { logPadj, change } = thresholds();
  const { columns } = state;
  state.calls = Int8Array.from(page.genes, (_, i) => {
    const size = columns[CHANGE][i];
    return columns[LOG_PADJ][i] < logPadj && Math.abs(size) >= change ? Math.sign(size) : 0;
  });
  const count = (side) => state.calls.reduce((n, one) => n + (one === side), 0).toLocaleString("en");
  byId("calls").textContent = `${count(1)} genes up, ${count(-1)} down`;
}

// Which genes the table shows, in which order; missing numbers last.
function arrange() {
  const wanted = byId("search").value.trim().toLowerCase();
  const kinds = { all: [-1, 0, 1], called: [-1, 1], up: [1], down: [-1] }[byId("show").value];
  const { by, ascending, columns, calls } = state;
  const sign = ascending ? 1 : -1;
  const key = by < 0 ? null : columns[by];
  state.order = [];
  for (let i = 0; i < page.genes.length; i++) {
    if (kinds.includes(calls[i]) && lowerNames[i].includes(wanted)) state.order.push(i);
  }
  state.order.sort((a, b) => {
    if (key === null) return sign * (lowerNames[a] < lowerNames[b] ? -1 : 1);
    const difference = sign * (key[a] - key[b]);
    return Number.isNaN(difference) ? Number.isNaN(key[a]) - Number.isNaN(key[b]) : difference || a - b;
  });
  state.rows = FIRST_ROWS;
}

function fill() {
  const body = byId("genes").tBodies[0];
  const rows = state.order.slice(0, state.rows).map((i) => {
    const row = document.createElement("tr");
    if (i === state.marked) row.className = "chosen";
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: page.genes[i], title: "mark it in the volcano plot" });
    button.addEventListener("click", () => mark(i));
    cell(row, null, { head: true }).append(button);
    state.columns.forEach((column, k) => cell(row, shown[k](column[i]), { number: true }));
    return row;
  });
  body.replaceChildren(...rows);
  byId("count").textContent = `${state.order.length.toLocaleString("en")} of ${page.genes.length.toLocaleString("en")} genes`;
  byId("more").hidden = state.order.length <= state.rows;
}

function mark(i) {
  state.marked = state.marked === i ? -1 : i;
  [...byId("genes").tBodies[0].rows].forEach((row, k) => row.classList.toggle("chosen", state.order[k] === state.marked));
  volcano.redraw();
}

function tipOf(i) {
  const [observed, expected, change, , p, padj] = state.columns.map((column, k) => shown[k](column[i]));
  return `${page.genes[i]}\nobserved ${observed}, expected ${expected}\nlog2 fold change ${change}\np ${p}, adjusted ${padj || "not tested"}`;
}

const volcano = new Plot(byId("volcano"), {
  tip: tipOf,
  // All genes are shown, as the clicked one may be none of those that are.
  click(i) { byId("search").value = page.genes[i]; byId("show").value = "all"; state.marked = i; update(); },
  draw(plot) {
    const { columns, calls, marked } = state;
    if (!columns) return;
    plot.x = columns[CHANGE];
    plot.y = columns[LOG_P].map((value) => -value);
    const [xRange, yRange] = [rangeOf(plot.x), [0, Math.max(1, rangeOf(plot.y)[1])]];
    plot.axes(xRange, yRange, "log2 fold change (observed / closest normal)", "−log10 p");
    const { change } = thresholds();
    if (change > 0) [-change, change].filter((x) => x > xRange[0] && x < xRange[1]).forEach((x) => plot.line(x, yRange[0], x, yRange[1]));
    const found = byId("search").value.trim() ? new Set(state.order) : null;
    for (const kind of [0, -1, 1]) {
      const colour = { 0: COLOURS.neither, 1: COLOURS.up, "-1": COLOURS.down }[kind];
      for (let i = 0; i < calls.length; i++) {
        if (calls[i] !== kind || Number.isNaN(plot.y[i])) continue;
        if (kind) plot.triangle(plot.x[i], plot.y[i], 3.2, colour, kind);
        else plot.disc(plot.x[i], plot.y[i], 1.8, colour);
      }
    }
    if (found && found.size <= MOST_NAMES) for (const i of found) ring(plot, i, page.genes[i]);
    else if (marked >= 0) ring(plot, marked, page.genes[marked]);
  },
});

// A circle around a gene, with its name.
function ring(plot, i, name) {
  const { context: c } = plot;
  const [x, y] = [plot.px(plot.x[i]), plot.py(plot.y[i])];
  if (Number.isNaN(y)) return;
  Object.assign(c, { strokeStyle: "#000", lineWidth: 1.5, fillStyle: "#000", font: "bold 12px sans-serif", textBaseline: "bottom" });
  c.beginPath();
  c.arc(x, y, 6, 0, 2 * Math.PI);
  c.stroke();
  c.textAlign = x > plot.width / 2 ? "right" : "left";
  c.fillText(name, x + (x > plot.width / 2 ? -8 : 8), y - 4);
}

const map = new Plot(byId("map"), {
  tip(i) {
    const { healthy, labels, styles } = page.map;
    return i < healthy.length ? `healthy: ${styles[labels[i]][0]}` : page.samples[i - healthy.length].name;
  },
  draw(plot) {
    const { axes, healthy, labels, styles, samples } = page.map;
    const all = [...healthy, ...samples];
    plot.x = all.map((place) => place[0]);
    plot.y = all.map((place) => place[1]);
    plot.axes(rangeOf(plot.x), rangeOf(plot.y), ...axes);
    healthy.forEach(([x, y], i) => plot.glyph(x, y, MARKERS[styles[labels[i]][2]], 9, styles[labels[i]][1]));
    samples.forEach(([x, y]) => plot.glyph(x, y, MARKERS.star, 14, "#000"));
    if (state.sample >= 0) plot.glyph(...samples[state.sample], MARKERS["*"], 30, "#ffd400", "#000");
  },
});

function drawLegend() {
  byId("legend").replaceChildren(...page.map.styles.map(([label, colour, marker]) => {
    const [entry, glyph] = [document.createElement("span"), document.createElement("span")];
    glyph.textContent = `${MARKERS[marker]} `;
    glyph.style.color = colour;
    entry.append(glyph, label);
    return entry;
  }));
}

function update() {
  call();
  arrange();
  fill();
  volcano.redraw();
}

function fillSets(sets) {
  byId("sets").hidden = !sets;
  byId("no-sets").hidden = !sets || sets.length > 0;
  if (!sets) return;
  byId("sets").querySelector("tbody").replaceChildren(...sets.map(([name, overlap, size, p, padj]) => {
    const row = document.createElement("tr");
    cell(row, name, { head: true });
    [overlap, size, asP(Math.log10(p)), asP(Math.log10(padj))].forEach((text) => cell(row, text, { number: true }));
    return row;
  }));
}

async function choose(number) {
  const sample = page.samples[number];
  state.wanted = number;
  const columns = await unpacked(sample.numbers, page.columns.length);
  // Another sample was clicked while this one was unpacked.
  if (state.wanted !== number) return;
  Object.assign(state, { sample: number, columns, marked: -1 });
  byId("sample-title").textContent = sample.name;
  byId("verdict").className = sample.level;
  byId("headline").textContent = sample.headline;
  byId("details").replaceChildren(...sample.details.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  for (const button of document.querySelectorAll("#samples tbody button")) {
    button.closest("tr").classList.toggle("chosen", Number(button.dataset.sample) === number);
    button.setAttribute("aria-pressed", String(Number(button.dataset.sample) === number));
  }
  fillSets(sample.sets);
  update();
  map.redraw();
}

function download() {
  const names = page.columns.map((name) => name.replace("log10_", ""));
  const sample = page.samples[state.sample].name;
  const lines = state.order.map((i) => [csvName(sample), csvName(page.genes[i]),
    ...state.columns.map((column, k) => csvNumber(column[i], k >= LOG_P))].join(","));
  save(`${sample.replace(/[^\w.-]+/g, "_")}.csv`, [["sample", "gene", ...names].join(","), ...lines, ""].join("\n"));
}

for (const [id, toSlider, fromSlider] of [
  // No number is no threshold.
  ["padj", (text) => (text === "" ? 0 : Math.log10(Math.max(Number(text), 1e-300))), (value) => Number((10 ** value).toPrecision(2))],
  ["log2fc", Number, (value) => value],
]) {
  const [input, slider] = [byId(id), byId(`${id}-slider`)];
  slider.value = toSlider(input.value);
  input.addEventListener("input", () => { slider.value = toSlider(input.value); update(); });
  slider.addEventListener("input", () => { input.value = fromSlider(Number(slider.value)); update(); });
}
byId("search").addEventListener("input", update);
byId("show").addEventListener("change", update);
byId("download").addEventListener("click", download);
byId("more").addEventListener("click", () => { state.rows += MORE_ROWS; fill(); });
sortable(byId("genes"), (column, ascending) => { Object.assign(state, { by: column - 1, ascending }); arrange(); fill(); });
sortable(byId("samples"), (column, ascending) => sortRows(byId("samples").tBodies[0], column, ascending));
markSorted(byId("genes"), LOG_P + 1, true);
for (const button of document.querySelectorAll("#samples tbody button")) {
  button.addEventListener("click", async () => { await choose(Number(button.dataset.sample)); byId("sample").focus(); });
}
drawLegend();
choose(0).then(() => { document.body.dataset.ready = "yes"; });
