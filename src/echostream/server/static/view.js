/** View: the one topic that is looked at. Puts its kept events and the live ones together and shows them. */

import { byId, setText } from "./dom.js";
import { fetchKept, isFinished, Refused } from "./kept.js";
import { Rows } from "./rows.js";
import { Tape } from "./tape.js";
import { topicProblem } from "./topic.js";

/** After so long without an event it is asked whether the topic was ended: the envelope of an event does not tell. */
const QUIET = 3000;
const AGAIN = 2000;

export class View {
  #tape = new Tape(byId("tape", HTMLElement), byId("tape-scroll", HTMLElement), byId("to-end", HTMLButtonElement));
  #empty = byId("tape-empty", HTMLElement);
  #refusal = byId("tape-refusal", HTMLElement);
  #rows = new Rows("");
  #leaving = new AbortController();
  #quiet = 0;
  #position;
  #changed;
  /** Nothing can follow. */
  finished = false;

  /**
   * @param {() => string} position  where the live stream is
   * @param {() => void} changed
   */
  constructor(position, changed) {
    this.#position = position;
    this.#changed = changed;
    const hold = byId("hold", HTMLButtonElement);
    hold.addEventListener("click", () => {
      const held = hold.getAttribute("aria-pressed") !== "true";
      hold.setAttribute("aria-pressed", String(held));
      this.#tape.hold(held);
    });
  }

  get topic() {
    return this.#rows.topic;
  }

  /** Look at another topic. From here on its live events are taken; its kept ones come when they come. @param {string} topic */
  choose(topic) {
    this.#leaving.abort();
    this.#leaving = new AbortController();
    this.#rows = new Rows(topic);
    this.finished = false;
    this.#tape.show(this.#rows);
    this.#showState(null);
    const problem = topicProblem(topic);
    if (problem !== null) this.#showState(problem);
    else void this.#fill(this.#rows, this.#leaving.signal);
  }

  /** A live event of any topic. @param {import("./envelope.js").Envelope} event */
  take(event) {
    if (event.topic !== this.#rows.topic || !this.#rows.add(event)) return;
    this.#empty.hidden = true;
    this.#tape.changed();
    if (event.position !== null) this.#askWhenQuiet();
  }

  /** What the stream says about itself. @param {"note" | "gap"} kind @param {string} text @param {number} time */
  note(kind, text, time) {
    this.#rows.note(kind, text, time);
    this.#tape.changed();
  }

  /** @param {Rows} rows @param {AbortSignal} signal */
  async #fill(rows, signal) {
    while (!signal.aborted) {
      try {
        for (const event of await fetchKept(rows.topic, signal)) rows.add(event);
        break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused) {
          this.#showState(error.message);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN)); // the hub is away; it comes back
      }
    }
    if (signal.aborted) return;
    this.#showState(null);
    this.#empty.hidden = rows.list.length > 0;
    this.#tape.changed();
    this.#askWhenQuiet();
  }

  /** @param {string | null} refusal */
  #showState(refusal) {
    this.#empty.hidden = true;
    this.#refusal.hidden = refusal === null;
    setText(this.#refusal, refusal ?? "");
  }

  #askWhenQuiet() {
    clearTimeout(this.#quiet);
    const { signal } = this.#leaving;
    this.#quiet = setTimeout(() => void this.#ask(signal), QUIET);
  }

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    const position = this.#position();
    if (signal.aborted || this.finished || position === "") return;
    try {
      this.finished = await isFinished(this.topic, position, signal);
    } catch {
      return; // the hub is away: it is asked again after the next event
    }
    if (!signal.aborted) this.#changed();
  }
}
