/**
 * JSON as text. An event's data is kept byte for byte as it was published; parsing it only to
 * show it would turn 12345678901234567890 into 12345678901234567000 and drop repeated keys.
 * So values are cut out of their envelope and laid out by tokens, never rebuilt.
 */

/** One token: a string, a mark, or a run of anything else (numbers, true, false, null). */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gs;

/** Past this depth lines are not indented further, so that layout stays linear in the size of the value. */
const MAX_INDENT = 16;
/** A value stays on one line up to this width, a value within a longer one up to the second. */
const MAX_LINE = 160;
const MAX_INNER = 72;

/**
 * The members of a JSON object as the texts of their values; null when `text` is none.
 * @param {string} text
 * @returns {Map<string, string> | null}
 */
export function members(text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  const parts = split(text, "{");
  if (parts === null) return null;
  for (const part of parts) {
    TOKEN.lastIndex = 0;
    const name = /** @type {RegExpExecArray} */ (TOKEN.exec(part))[0];
    const colon = part.indexOf(":", TOKEN.lastIndex);
    found.set(JSON.parse(name), part.slice(colon + 1).trim());
  }
  return found;
}

/**
 * The elements of a JSON array as texts; null when `text` is none.
 * @param {string} text
 * @returns {string[] | null}
 */
export function elements(text) {
  return split(text, "[");
}

/** @param {string} text @param {"{" | "["} opening @returns {string[] | null} */
function split(text, opening) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  /** @type {string[]} */
  const parts = [];
  let depth = 0;
  let start = 0;
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(text); found !== null; found = TOKEN.exec(text)) {
    const mark = found[0];
    if (depth === 0) {
      if (mark !== opening) return null;
      depth = 1;
      start = TOKEN.lastIndex;
    } else if (mark === "{" || mark === "[") {
      depth += 1;
    } else if (mark === "}" || mark === "]") {
      depth -= 1;
    }
    if ((depth === 1 && mark === ",") || depth === 0) {
      const part = text.slice(start, found.index).trim();
      if (part !== "") parts.push(part);
      start = TOKEN.lastIndex;
    }
  }
  return parts;
}

/**
 * @typedef {"name" | "string" | "other" | "mark"} Kind
 * @typedef {{ parts: [Kind, string][], cut: boolean }} Layout
 */

/**
 * A JSON value laid out to be read: on one line when it is short, else indented, with the short values in it on
 * one line each. Stops after `limit` characters, which `cut` tells.
 * @param {string} text  valid JSON
 * @param {number} limit
 * @returns {Layout}
 */
export function layout(text, limit) {
  const tokens = tokenize(text, limit);
  const wide = tokens.widths[0] > MAX_LINE;
  /** @type {[Kind, string][]} */
  const parts = [];
  let size = 0;
  /** For each container that is open, whether its members stand on lines of their own. @type {boolean[]} */
  const open = [];
  let before = "";
  for (const [index, mark] of tokens.marks.entries()) {
    const closes = mark === "}" || mark === "]";
    const broken = closes ? open.pop() : open.at(-1);
    const space = spaceBetween(before, mark, broken ?? false, open.length);
    if (mark === "{" || mark === "[") open.push(wide && (index === 0 || tokens.widths[index] > MAX_INNER));
    const room = limit - size - space.length;
    if (mark.length > room) {
      if (room > 0) parts.push(["other", space + mark.slice(0, room)]);
      return { parts, cut: true };
    }
    parts.push([kind(mark, tokens.marks[index + 1]), space + mark]);
    size += space.length + mark.length;
    before = mark;
  }
  return { parts, cut: tokens.cut };
}

/** @param {string} before @param {string} mark @param {boolean} broken @param {number} depth */
function spaceBetween(before, mark, broken, depth) {
  const opened = before === "{" || before === "[";
  const closes = mark === "}" || mark === "]";
  if (before === ":") return " ";
  if (opened && closes) return "";
  if (broken && (opened || closes || before === ",")) return "\n" + "  ".repeat(Math.min(depth, MAX_INDENT));
  return before === "," ? " " : "";
}

/**
 * The tokens, as far as `limit` reaches, and for each opening one how wide its container is on one line.
 * @param {string} text
 * @param {number} limit
 */
function tokenize(text, limit) {
  /** @type {string[]} */
  const marks = [];
  /** @type {number[]} */
  const widths = [];
  /** @type {number[]} */
  const starts = [];
  /** @type {number[]} */
  const open = [];
  let size = 0;
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(text); found !== null && size <= limit; found = TOKEN.exec(text)) {
    const mark = found[0];
    if (mark === "{" || mark === "[") open.push(marks.length);
    widths.push(mark === "{" || mark === "[" ? Infinity : mark.length);
    marks.push(mark);
    size += mark.length + (mark === "," || mark === ":" ? 1 : 0);
    if (mark === "}" || mark === "]") {
      const opening = /** @type {number} */ (open.pop());
      widths[opening] = size - starts[opening];
    } else if (mark === "{" || mark === "[") {
      starts[marks.length - 1] = size - 1;
    }
  }
  return { marks, widths, cut: size > limit };
}

/** @param {string} mark @param {string | undefined} next @returns {Kind} */
function kind(mark, next) {
  if (mark[0] === '"') return next === ":" ? "name" : "string";
  return mark.length === 1 && "{}[]:,".includes(mark) ? "mark" : "other";
}
