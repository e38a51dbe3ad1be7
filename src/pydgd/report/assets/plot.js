// Scatter plots on a canvas: axes with ticks, marks, and the mark nearest to the pointer.
const MARKERS = { o: "●", s: "■", "^": "▲", D: "◆", v: "▼", P: "✚", X: "✖", "<": "◀", "*": "★", star: "☆" };
const MARGIN = { left: 56, right: 12, top: 12, bottom: 44 };

// Round numbers inside an interval, about five.
function ticksOf(low, high) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}

// Low and high of finite numbers with a little room; never empty.
function rangeOf(values, room = 0.05) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) [low, high] = [0, 1];
  const more = (high - low || 1) * room;
  return [low - more, high + more];
}

class Plot {
  // draw(plot) is called whenever the size changes; tip(index) gives the text of a mark.
  constructor(canvas, { draw, tip, click = () => {} }) {
    Object.assign(this, { canvas, draw, tip, x: [], y: [] });
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.redraw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => { byId("tip").hidden = true; });
    canvas.addEventListener("click", (event) => { const i = this.nearest(event); if (i >= 0) click(i); });
  }

  redraw() {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    Object.assign(this, { width, height });
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.clearRect(0, 0, width, height);
    this.draw(this);
  }

  axes(xRange, yRange, xLabel, yLabel) {
    const { context: c, width, height } = this;
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    this.px = (x) => MARGIN.left + ((x - xRange[0]) / (xRange[1] - xRange[0])) * (right - MARGIN.left);
    this.py = (y) => bottom - ((y - yRange[0]) / (yRange[1] - yRange[0])) * (bottom - MARGIN.top);
    Object.assign(c, { fillStyle: "#444", strokeStyle: "#bbb", font: "12px sans-serif", textAlign: "center", lineWidth: 1 });
    c.strokeRect(MARGIN.left, MARGIN.top, right - MARGIN.left, bottom - MARGIN.top);
    c.textBaseline = "top";
    for (const x of ticksOf(...xRange)) c.fillText(String(x), this.px(x), bottom + 5);
    c.fillText(xLabel, (MARGIN.left + right) / 2, bottom + 24);
    c.textBaseline = "middle";
    c.textAlign = "right";
    for (const y of ticksOf(...yRange)) c.fillText(String(y), MARGIN.left - 6, this.py(y));
    c.save();
    c.translate(12, (MARGIN.top + bottom) / 2);
    c.rotate(-Math.PI / 2);
    c.textAlign = "center";
    c.fillText(yLabel, 0, 0);
    c.restore();
  }

  line(x0, y0, x1, y1) {
    const { context: c } = this;
    c.save();
    c.setLineDash([5, 4]);
    c.strokeStyle = "#666";
    c.beginPath();
    c.moveTo(this.px(x0), this.py(y0));
    c.lineTo(this.px(x1), this.py(y1));
    c.stroke();
    c.restore();
  }

  disc(x, y, radius, colour) {
    const { context: c } = this;
    c.fillStyle = colour;
    c.beginPath();
    c.arc(this.px(x), this.py(y), radius, 0, 2 * Math.PI);
    c.fill();
  }

  // Pointing up (1) or down (-1).
  triangle(x, y, radius, colour, direction) {
    const { context: c } = this;
    const [left, top] = [this.px(x), this.py(y)];
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(left, top - direction * radius);
    c.lineTo(left - radius, top + direction * radius);
    c.lineTo(left + radius, top + direction * radius);
    c.fill();
  }

  glyph(x, y, glyph, size, colour, edge) {
    const { context: c } = this;
    Object.assign(c, { font: `${size}px sans-serif`, fillStyle: colour, textAlign: "center", textBaseline: "middle" });
    c.fillText(glyph, this.px(x), this.py(y));
    if (edge) Object.assign(c, { strokeStyle: edge, lineWidth: 1 }), c.strokeText(glyph, this.px(x), this.py(y));
  }

  // The mark within ten pixels of the pointer; -1 if there is none.
  nearest({ offsetX, offsetY }) {
    let [best, found] = [100, -1];
    for (let i = 0; i < this.x.length; i++) {
      const away = (this.px(this.x[i]) - offsetX) ** 2 + (this.py(this.y[i]) - offsetY) ** 2;
      if (away < best) [best, found] = [away, i];
    }
    return found;
  }

  point(event) {
    const [tip, i] = [byId("tip"), this.nearest(event)];
    tip.hidden = i < 0;
    if (i < 0) return;
    tip.textContent = this.tip(i);
    const left = Math.min(event.pageX + 14, document.documentElement.clientWidth - tip.offsetWidth - 4);
    Object.assign(tip.style, { left: `${Math.max(left, 0)}px`, top: `${event.pageY + 14}px` });
  }
}
