/**
 * Tape: the rows of the chosen topic on the page, newest at the end.
 *
 * It follows the end while the reader is there, and stays where the reader is otherwise. The list is drawn at
 * most once per frame, whatever the rate, and only what changed.
 */

import { dataElement } from "./data.js";
import { element } from "./dom.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./rows.js").Rows} Rows */

const NEAR_END = 40;
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});

export class Tape {
  #list;
  #scroller;
  #toEnd;
  /** @type {Rows | null} */
  #rows = null;
  /** @type {Map<number, HTMLElement>} */
  #drawn = new Map();
  #due = false;
  #held = false;
  #following = true;

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} scroller
   * @param {HTMLButtonElement} toEnd
   */
  constructor(list, scroller, toEnd) {
    this.#list = list;
    this.#scroller = scroller;
    this.#toEnd = toEnd;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    toEnd.addEventListener("click", () => {
      this.#follow();
      scroller.focus();
    });
  }

  /** Show other rows. @param {Rows} rows */
  show(rows) {
    this.#rows = rows;
    this.#drawn.clear();
    this.#list.replaceChildren();
    this.#following = true;
    this.changed();
  }

  /** The rows have changed. */
  changed() {
    if (this.#due || this.#held) return;
    this.#due = true;
    requestAnimationFrame(() => this.#draw());
  }

  /** Stand still, so that it can be read; the rows go on behind it. @param {boolean} held */
  hold(held) {
    this.#held = held;
    if (!held) this.changed();
  }

  #draw() {
    this.#due = false;
    const rows = this.#rows?.list ?? [];
    const kept = new Set(rows.map((row) => row.key));
    for (const [key, drawn] of this.#drawn) {
      if (kept.has(key)) continue;
      drawn.remove();
      this.#drawn.delete(key);
    }
    let next = this.#list.firstElementChild;
    for (const row of rows) {
      const drawn = this.#drawn.get(row.key);
      if (drawn !== undefined && drawn === next) {
        next = next.nextElementSibling;
      } else {
        const made = drawn ?? rowElement(row);
        this.#drawn.set(row.key, made);
        this.#list.insertBefore(made, next);
      }
    }
    if (this.#following) this.#follow();
    else this.#toEnd.hidden = false;
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#following) this.#toEnd.hidden = true;
  }

  #follow() {
    this.#following = true;
    this.#toEnd.hidden = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}

/** @param {Row} row @returns {HTMLElement} */
function rowElement(row) {
  if (row.kind !== "event") {
    return element("li", row.kind, element("span", "time", clock.format(row.time)), element("span", "text", row.text));
  }
  const { position, event, time, data } = row.event;
  const made = element("li", position === null ? "event passing" : "event");
  const meta = element("div", "meta", Number.isNaN(time) ? "" : element("time", "time", clock.format(time)));
  if (position !== null) {
    const id = element("span", "id", element("span", "epoch", position.epoch + "."), String(position.offset));
    id.title = "The event's position; send it as Last-Event-ID to go on after it";
    meta.append(id);
  } else {
    const id = element("span", "id", "ephemeral");
    id.title = "Not kept in the log: it has no position";
    meta.append(id);
  }
  if (event !== "") meta.append(element("bdi", "name", event));
  made.append(meta, dataElement(data));
  return made;
}
