// Makes the page's curves interactive: a logarithmic scale, smoothing, hiding runs, reading values. Without this script the page shows
// the same curves, words and tables.
(() => {
  "use strict";
  const height = 300, left = 60, right = 14, top = 12, bottom = 44, mostDots = 60;
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const state = { logarithmic: false, smoothing: 0, hidden: new Set() };

  const add = (parent, name, attributes = {}, text) => {
    const element = parent instanceof SVGElement ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };

  // Formats numbers as Figures does in C#.
  const number = value => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e15 || size < 9.9995e-4) return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
    if (size >= 9999.5) return Math.round(value).toLocaleString("en-US");
    return String(Number(value.toPrecision(4)));
  };

  const tick = (value, step) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    const decimals = unit => Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
    let [unit, suffix] = size >= 1e9 ? [1e9, "G"] : size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
    if (decimals(unit) > 3) [unit, suffix] = [1, ""];
    if (decimals(unit) <= 5) return (value / unit).toFixed(decimals(unit)) + suffix;
    const digits = Math.min(15, Math.max(0, Math.floor(Math.log10(size)) - Math.floor(Math.log10(step))));
    return value.toExponential(digits).replace(/\.?0+e/, "e").replace("e+", "e");
  };

  const roundStep = least => {
    const power = 10 ** Math.floor(Math.log10(least));
    return power * [1, 2, 5, 10].find(times => times >= least / power - 1e-9);
  };

  const linearTicks = (lowest, highest, most) => {
    const step = roundStep((highest - lowest) / most), ticks = [];
    for (let at = Math.ceil(lowest / step - 1e-9); at * step <= highest + step * 1e-9; at++) ticks.push([at * step, tick(at * step, step)]);
    return ticks;
  };

  const linear = (lowest, highest, from, to, most) => {
    const size = Math.max(Math.abs(lowest), Math.abs(highest)); // values that differ only in their last digits are shown as equal
    if (highest - lowest <= Math.max(size * 1e-9, 1e-300)) [lowest, highest] = size <= 1e-300 ? [0, 1] : [lowest - size * 0.1, highest + size * 0.1];
    return { ticks: linearTicks(lowest, highest, most), place: value => from + (value - lowest) / (highest - lowest) * (to - from) };
  };

  const roomy = (lowest, highest, from, to, most) => {
    const room = (highest - lowest) * 0.05;
    return linear(lowest >= 0 && lowest < 0.6 * highest ? 0 : lowest - room, highest + room, from, to, most);
  };

  const logarithmic = (lowest, highest, from, to) => {
    if (highest - lowest <= highest * 1e-9) [lowest, highest] = [lowest / 2, highest * 2];
    const first = Math.floor(Math.log10(lowest)), last = Math.ceil(Math.log10(highest)), decades = last - first;
    let ticks = [];
    for (let power = first; power <= last; power += Math.max(1, Math.ceil(decades / 7)))
      for (const times of decades > 3 ? [1] : [1, 2, 5]) ticks.push([times * 10 ** power, tick(times * 10 ** power, 10 ** power)]);
    ticks = ticks.filter(([value]) => value >= lowest * 0.999 && value <= highest * 1.001);
    if (ticks.length < 2) ticks = linearTicks(lowest, highest, 5);
    const low = Math.log(lowest), room = (Math.log(highest) - low) * 0.05;
    return { ticks, place: value => from + (Math.log(value) - low + room) / (Math.log(highest) - low + 2 * room) * (to - from) };
  };

  // An exponential mean over steps without a bias towards zero at the start; the window is a share of all steps, the same for all runs.
  const smoothed = points => {
    const window = state.smoothing / 100 * Math.max(1, data.lastStep);
    let sum = 0, weight = 0, before = points[0][0];
    return points.map(([step, value]) => {
      const kept = Math.exp(-(step - before) / window);
      before = step;
      sum = sum * kept + value;
      weight = weight * kept + 1;
      return [step, sum / weight];
    });
  };

  const pairs = flat => Array.from({ length: flat.length / 2 }, (_, place) => [flat[2 * place], flat[2 * place + 1]]);

  class Chart {
    constructor({ id, lines }) {
      this.root = document.getElementById(id);
      this.plot = this.root.querySelector(".plot");
      this.svg = this.plot.querySelector("svg");
      this.title = this.root.querySelector("h3").textContent;
      this.lines = lines.map(line => ({ ...line, points: pairs(line.points), means: line.means && pairs(line.means), look: data.looks[line.run] }));
      this.steps = [];
      this.reads = null; // the step whose values are shown; null for the last one, without a crosshair
      this.width = 0;
      this.addReading();
      this.plot.classList.add("drawn");
      new ResizeObserver(() => { if (this.plot.clientWidth !== this.width) this.draw(); }).observe(this.plot);
    }

    get visible() { return this.lines.filter(line => !state.hidden.has(line.run)); }

    addReading() {
      const reading = document.createElement("div"), id = `${this.root.id}-reading`;
      reading.className = "reading";
      add(reading, "label", { for: id }, "Read values");
      this.slider = add(reading, "input", { type: "range", id, min: 0, value: 0, step: 1 });
      this.output = add(reading, "output", { for: id, "aria-live": "off" }); // the slider's aria-valuetext already tells screen readers
      this.root.querySelector("figure > .plot").after(reading);
      this.slider.addEventListener("input", () => this.read(this.steps[this.slider.value]));
      this.plot.addEventListener("pointermove", event => this.readAt(event));
      this.plot.addEventListener("pointerdown", event => this.readAt(event));
    }

    readAt(event) {
      if (!this.steps.length) return;
      const share = (event.clientX - this.svg.getBoundingClientRect().left - left) / (this.width - left - right);
      const step = share * Math.max(1, data.lastStep);
      let place = this.steps.findIndex(at => at >= step);
      if (place < 0) place = this.steps.length - 1;
      if (place > 0 && step - this.steps[place - 1] < this.steps[place] - step) place--;
      this.slider.value = place;
      this.read(this.steps[place]);
    }

    read(step) {
      this.reads = step;
      this.tell(step);
      this.drawCrosshair();
    }

    tell(step) {
      const values = this.visible.map(line => {
        const at = line.points.findLast(point => point[0] <= step);
        return at && `${line.name} ${number(at[1])}${at[0] === step ? "" : ` (step ${at[0].toLocaleString("en-US")})`}`;
      }).filter(Boolean);
      const text = `Step ${step.toLocaleString("en-US")}: ${values.join("; ") || "nothing"}`;
      this.output.textContent = text;
      this.slider.setAttribute("aria-valuetext", text);
    }

    drawCrosshair() {
      this.svg.querySelector(".crosshair")?.remove();
      if (this.reads === null) return;
      const at = this.x.place(this.reads);
      add(this.svg, "line", { class: "crosshair", x1: at, x2: at, y1: top, y2: height - bottom });
    }

    draw() {
      this.width = this.plot.clientWidth;
      if (this.width === 0) return;
      const curves = this.visible.map(line => this.shown(line)).filter(curve => curve.points.length);
      this.steps = [...new Set(curves.flatMap(curve => curve.points.map(point => point[0])))].sort((a, b) => a - b);
      this.slider.max = Math.max(0, this.steps.length - 1);
      this.slider.disabled = this.steps.length === 0;
      const values = curves.flatMap(curve => curve.points.map(point => point[1]));
      const lowest = values.reduce((a, b) => Math.min(a, b), Infinity), highest = values.reduce((a, b) => Math.max(a, b), -Infinity);
      this.x = linear(0, Math.max(1, data.lastStep), left, this.width - right, Math.max(2, Math.floor(this.width / 90)));
      this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
      this.svg.replaceChildren();
      if (curves.length === 0) {
        const hidden = this.visible.length === 0;
        add(this.svg, "text", { x: this.width / 2, y: height / 2, "text-anchor": "middle" }, hidden ? "All runs in this chart are hidden" : "No value is above 0: nothing to show on a logarithmic scale");
        return;
      }
      const scale = state.logarithmic ? logarithmic : roomy;
      this.y = scale(lowest, highest, height - bottom, top, 6);
      this.drawAxes();
      for (const curve of curves) this.drawCurve(curve);
      this.place();
    }

    // The slider's steps may have changed; keep the step that it shows.
    place() {
      const at = this.reads === null ? -1 : this.steps.findIndex(step => step >= this.reads);
      this.slider.value = at < 0 ? this.steps.length - 1 : at;
      this.tell(this.reads ?? this.steps.at(-1));
      this.drawCrosshair();
    }

    // A logarithmic scale can only show values above 0.
    shown(line) {
      const positive = points => state.logarithmic ? points.filter(point => point[1] > 0) : points;
      const smooth = state.smoothing > 0 && !line.heldOut && line.points.length > 2 ? positive(smoothed(line.means ?? line.points)) : null;
      return { line, points: positive(line.points), smooth };
    }

    drawAxes() {
      for (const [value, text] of this.y.ticks) {
        const y = this.y.place(value);
        add(this.svg, "line", { class: "grid", x1: left, x2: this.width - right, y1: y, y2: y });
        add(this.svg, "text", { x: left - 8, y: y + 4, "text-anchor": "end" }, text);
      }
      for (const [value, text] of this.x.ticks.filter(([value]) => value === Math.round(value)))
        add(this.svg, "text", { x: this.x.place(value), y: height - bottom + 18, "text-anchor": "middle" }, text);
      add(this.svg, "text", { x: (left + this.width - right) / 2, y: height - 6, "text-anchor": "middle" }, "step");
      add(this.svg, "line", { class: "axis", x1: left, x2: this.width - right, y1: height - bottom, y2: height - bottom });
    }

    drawCurve({ line, points, smooth }) {
      const path = shown => "M" + shown.map(([step, value]) => `${this.x.place(step).toFixed(1)} ${this.y.place(value).toFixed(1)}`).join("L");
      const kind = line.heldOut ? "held-out" : "step";
      add(this.svg, "path", { class: `curve ${kind} ${line.look} ${smooth ? "faint" : ""}`, d: path(points) });
      if (smooth) add(this.svg, "path", { class: `curve smooth ${line.look}`, d: path(smooth) });
      if (points.length > 1 && (!line.heldOut || points.length > mostDots)) return;
      for (const [step, value] of points) add(this.svg, "circle", { class: `dot ${kind} ${line.look}`, cx: this.x.place(step), cy: this.y.place(value), r: 3.5 });
    }
  }

  const charts = data.charts.map(chart => new Chart(chart));
  const redraw = () => charts.forEach(chart => chart.draw());

  const addTools = () => {
    const tools = document.getElementById("curve-tools");
    if (!tools) return;
    const scale = add(tools, "label"), box = add(scale, "input", { type: "checkbox", id: "logarithmic" });
    scale.append("Logarithmic scale");
    box.addEventListener("change", () => { state.logarithmic = box.checked; redraw(); });
    const smooth = add(tools, "label", { for: "smoothing" }, "Smoothing");
    const slider = add(smooth, "input", { type: "range", id: "smoothing", min: 0, max: 20, step: 0.5, value: 0 });
    const value = add(tools, "output", { for: "smoothing" }, "off");
    slider.addEventListener("input", () => {
      state.smoothing = Number(slider.value);
      value.textContent = state.smoothing === 0 ? "off" : `over ${state.smoothing} % of the steps`;
      slider.setAttribute("aria-valuetext", value.textContent);
      redraw();
    });
  };

  const addLegend = () => document.querySelectorAll("#legend > li").forEach((item, run) => {
    const label = document.createElement("label"), box = add(label, "input", { type: "checkbox" });
    box.checked = true;
    label.append(...item.childNodes);
    item.append(label);
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(run);
      else state.hidden.add(run);
      redraw();
    });
  });

  const addTheme = () => {
    const label = add(document.getElementById("page-tools"), "label", {}, "Colours ");
    const choice = add(label, "select", { id: "theme" });
    for (const [value, text] of [["", "system"], ["light", "light"], ["dark", "dark"]]) add(choice, "option", { value }, text);
    choice.addEventListener("change", () => {
      if (choice.value) document.documentElement.dataset.theme = choice.value;
      else delete document.documentElement.dataset.theme;
    });
  };

  addTools();
  addLegend();
  addTheme();
  redraw();
})();
