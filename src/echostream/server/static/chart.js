/**
 * Chart: lines over the last two minutes, on a canvas.
 *
 * Time runs by the samples' own clock, so a hole in the samples is a hole in the line: what was not measured is
 * not drawn. Colours come from the stylesheet, so that light and dark are decided in one place.
 */

/** @typedef {{ time: number, values: (number | null)[] }} Sample */
/**
 * @typedef {object} Options
 * @property {string[]} colors  names of custom properties of the stylesheet, one for each line
 * @property {(max: number) => number} top  the value at the upper edge, for the largest value shown
 * @property {(value: number) => string} label  the text of a value on the axis
 */

const SPAN = 120_000;
/** Samples come each second; two missed are a hole. */
const HOLE = 3000;
const LEFT = 44;
const BOTTOM = 18;
const TOP = 8;
const RIGHT = 6;

export class Chart {
  #canvas;
  #options;
  /** @type {Sample[]} */
  #samples = [];

  /** @param {HTMLCanvasElement} canvas @param {Options} options */
  constructor(canvas, options) {
    this.#canvas = canvas;
    this.#options = options;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {Sample} sample */
  add(sample) {
    this.#samples.push(sample);
    const oldest = sample.time - SPAN - HOLE;
    while (this.#samples.length > 0 && this.#samples[0].time < oldest) this.#samples.shift();
    this.draw();
  }

  draw() {
    const context = this.#fit();
    if (context === null) return;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const style = getComputedStyle(this.#canvas);
    const end = this.#samples.at(-1)?.time ?? 0;
    const values = this.#samples.flatMap((sample) => sample.values.filter((value) => value !== null));
    const top = this.#options.top(Math.max(0, ...values));
    const frame = { width, height, end, top };
    context.clearRect(0, 0, width, height);
    context.font = `11px ${style.fontFamily}`;
    drawAxes(context, frame, style, this.#options.label);
    this.#options.colors.forEach((color, line) => {
      drawLine(context, frame, this.#samples, line, style.getPropertyValue(color).trim());
    });
  }

  /** As many pixels as the screen has, or lines are blurred. @returns {CanvasRenderingContext2D | null} */
  #fit() {
    const canvas = this.#canvas;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    const context = canvas.getContext("2d");
    if (context === null || width === 0 || height === 0) return null;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    return context;
  }
}

/** @typedef {{ width: number, height: number, end: number, top: number }} Frame */

/** @param {Frame} frame @param {number} time */
const toX = (frame, time) => LEFT + (1 - (frame.end - time) / SPAN) * (frame.width - LEFT - RIGHT);
/** @param {Frame} frame @param {number} value */
const toY = (frame, value) => TOP + (1 - value / frame.top) * (frame.height - TOP - BOTTOM);

/** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {CSSStyleDeclaration} style @param {Options["label"]} label */
function drawAxes(context, frame, style, label) {
  context.fillStyle = style.getPropertyValue("--soft").trim();
  context.strokeStyle = style.getPropertyValue("--line").trim();
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(toY(frame, frame.top * share)) + 0.5;
    context.beginPath();
    context.moveTo(LEFT, y);
    context.lineTo(frame.width - RIGHT, y);
    context.stroke();
    context.fillText(label(frame.top * share), LEFT - 7, y);
  }
  context.textBaseline = "alphabetic";
  const marks = /** @type {[number, CanvasTextAlign, string][]} */ ([[SPAN, "left", "2 min ago"], [SPAN / 2, "center", "1 min"], [0, "right", "now"]]);
  for (const [ago, align, text] of marks) {
    context.textAlign = align;
    context.fillText(text, toX(frame, frame.end - ago), frame.height - 4);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Sample[]} samples @param {number} line @param {string} color */
function drawLine(context, frame, samples, line, color) {
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, frame.width - LEFT, frame.height);
  context.clip();
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineWidth = 1.75;
  context.lineJoin = "round";
  context.beginPath();
  let before = -Infinity;
  let last = null;
  for (const { time, values } of samples) {
    const value = values[line];
    if (value === null || value === undefined) continue;
    const point = { x: toX(frame, time), y: toY(frame, value) };
    if (time - before > HOLE) context.moveTo(point.x, point.y);
    else context.lineTo(point.x, point.y);
    before = time;
    last = point;
  }
  context.stroke();
  if (last !== null) {
    context.beginPath();
    context.arc(last.x - 1, last.y, 2.5, 0, 2 * Math.PI);
    context.fill();
  }
  context.restore();
}
