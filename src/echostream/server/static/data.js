/** An event's data as elements: text as it is, JSON laid out, both bounded until somebody asks for more. */

import { element } from "./dom.js";
import { layout } from "./json.js";

/** Shown at first, in characters. */
const SHOWN = 2048;
/** Shown on request as laid out JSON; what is longer is shown as it came. */
const LAID_OUT = 65_536;

/**
 * @param {string} data  JSON text; a JSON string stands for text
 * @returns {HTMLElement}
 */
export function dataElement(data) {
  const text = data.startsWith('"') ? String(JSON.parse(data)) : null;
  const body = element("div", "data");
  body.dir = "auto";
  if (!fill(body, data, text, SHOWN)) return body;
  const more = element("button", "more", `Show all ${(text ?? data).length.toLocaleString("en")} characters`);
  more.type = "button";
  const closed = more.textContent ?? "";
  more.setAttribute("aria-expanded", "false");
  more.addEventListener("click", () => {
    const open = more.getAttribute("aria-expanded") === "false";
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "Show less" : closed;
    fill(body, data, text, open ? Infinity : SHOWN);
  });
  return element("div", "long", body, more);
}

/** Fill `body` with at most `limit` characters; true when that is not all. @param {HTMLElement} body @param {string} data @param {string | null} text @param {number} limit */
function fill(body, data, text, limit) {
  const plain = text ?? (limit === Infinity && data.length > LAID_OUT ? data : null);
  if (plain !== null) {
    body.replaceChildren(plain.length > limit ? plain.slice(0, limit) + "…" : plain);
    return plain.length > limit;
  }
  const { parts, cut } = layout(data, limit);
  body.replaceChildren(...parts.map(([kind, part]) => (kind === "mark" ? part : element("span", kind, part))));
  if (cut) body.append("…");
  return cut;
}
