/** Topics: the list of the topics that the stream has shown, to choose from. It is learned, for the hub has no call that lists them. */

import { element, setText } from "./dom.js";
import { Rate } from "./rate.js";
import { HUB_PREFIX, topicFragment } from "./topic.js";

/** Past it the topic that was quiet for longest leaves the list. */
const MAX_TOPICS = 200;

/** @typedef {{ name: string, count: number, seen: number, rate: Rate, item: HTMLElement, link: HTMLAnchorElement, figure: HTMLElement }} Known */

export class Topics {
  #list;
  /** @type {Map<string, Known>} */
  #known = new Map();
  #chosen = "";

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
  }

  get size() {
    return this.#known.size;
  }

  /** An event came. @param {string} name @param {number} time when it was published @param {number} now */
  saw(name, time, now) {
    const known = this.#known.get(name) ?? this.#make(name);
    known.count += 1;
    known.seen = now;
    known.rate.add(time, now);
  }

  /** @param {string} name */
  choose(name) {
    this.#known.get(this.#chosen)?.link.removeAttribute("aria-current");
    this.#chosen = name;
    (this.#known.get(name) ?? this.#make(name)).link.setAttribute("aria-current", "true");
  }

  /** Events per second of the chosen topic. @param {number} now */
  chosenRate(now) {
    return this.#known.get(this.#chosen)?.rate.perSecond(now) ?? 0;
  }

  /** @param {number} now */
  draw(now) {
    for (const { figure, count, link, rate } of this.#known.values()) {
      setText(figure, count.toLocaleString("en"));
      link.classList.toggle("active", rate.perSecond(now) > 0);
    }
  }

  /** @param {string} name @returns {Known} */
  #make(name) {
    const figure = element("span", "count");
    const link = element("a", "", element("bdi", "", name), figure);
    link.href = topicFragment(name);
    const known = { name, count: 0, seen: 0, rate: new Rate(), item: element("li", "", link), link, figure };
    if (this.#known.size >= MAX_TOPICS) this.#forgetOne();
    this.#known.set(name, known);
    this.#list.insertBefore(known.item, this.#firstAfter(name)?.item ?? null);
    return known;
  }

  /** By name, the hub's own last: a list that does not move under the pointer. @param {string} name */
  #firstAfter(name) {
    let first;
    for (const known of this.#known.values()) {
      if (before(name, known.name) && (first === undefined || before(known.name, first.name))) first = known;
    }
    return first;
  }

  #forgetOne() {
    let quiet;
    for (const known of this.#known.values()) {
      if (known.name !== this.#chosen && (quiet === undefined || known.seen < quiet.seen)) quiet = known;
    }
    if (quiet === undefined) return;
    quiet.item.remove();
    this.#known.delete(quiet.name);
  }
}

/** @param {string} a @param {string} b */
function before(a, b) {
  const ours = Number(a.startsWith(HUB_PREFIX)) - Number(b.startsWith(HUB_PREFIX));
  return ours !== 0 ? ours < 0 : a < b;
}
