/**
 * Stream: one subscription that outlives its connections.
 *
 * It sends the last id it has seen and so goes on where it was: after a cut, a restart of the hub, a
 * deadline, or a tab that was hidden. Position moves only when an event was handed over.
 *
 * How an attempt ends decides what follows:
 *   204, `stream-end` finished/cancelled/expired   finished, for good
 *   400 to 499 but 408, 425, 429                   refused, for good, with the problem's text
 *   anything else                                  again, after the stream's `retry:`, longer each time without success
 */

import { SseDecoder } from "./decoder.js";
import { passes, problemText } from "./problem.js";

/** @typedef {import("./decoder.js").SseEvent} SseEvent */
/** @typedef {"connecting" | "live" | "reconnecting" | "paused" | "finished" | "refused"} State */
/** @typedef {{ kind: "again" | "finished" } | { kind: "refused", detail: string }} Outcome */
/**
 * @typedef {object} Handlers
 * @property {(event: SseEvent) => void} event
 * @property {(state: State, detail: string) => void} state
 * @property {(milliseconds: number) => void} clock  how far the hub's clock is ahead of ours
 */

const FOR_GOOD = new Set(["finished", "cancelled", "expired"]);
const FIRST_DELAY = 1000;
const LONGEST_DELAY = 10_000;
/** Three heartbeats: a connection that is silent for so long is dead and has not noticed. */
const SILENCE = 45_000;

export class Stream {
  #address;
  #handlers;
  #lastEventId = "";
  #retry = FIRST_DELAY;
  #retryAfter = 0;
  #failures = 0;
  /** The connection or pause under way; aborting it moves the loop on. @type {AbortController} */
  #step = new AbortController();
  #running = false;
  #paused = false;
  /** The next attempt is wanted at once. */
  #hurried = false;

  /**
   * @param {URL} address  where to subscribe; its `since` counts for the first connection only
   * @param {Handlers} handlers
   */
  constructor(address, handlers) {
    this.#address = address;
    this.#handlers = handlers;
  }

  /** Everything up to this position was handed over; "" before the first. */
  get position() {
    return this.#lastEventId;
  }

  /** Begin, or go on after `pause`. */
  start() {
    this.#paused = false;
    if (!this.#running) void this.#run();
  }

  /** Close the connection and keep the position. */
  pause() {
    this.#paused = true;
    this.#step.abort();
  }

  /** Do not wait any longer, neither for the next attempt nor for one that hangs. */
  hurry() {
    if (!this.#running || this.#paused || this.#failures === 0) return;
    this.#hurried = true;
    this.#step.abort();
  }

  async #run() {
    this.#running = true;
    while (!this.#paused) {
      this.#handlers.state(this.#lastEventId === "" && this.#failures === 0 ? "connecting" : "reconnecting", "");
      this.#step = new AbortController();
      this.#hurried = false;
      const outcome = await this.#attempt(this.#step);
      if (this.#paused) break;
      if (outcome.kind !== "again") {
        this.#handlers.state(outcome.kind, outcome.kind === "refused" ? outcome.detail : "");
        return; // #running stays true: what ended for good is not begun again
      }
      const delay = this.#nextDelay();
      this.#handlers.state("reconnecting", "");
      this.#step = new AbortController();
      if (!this.#hurried) await wait(delay, this.#step.signal);
    }
    this.#running = false;
    this.#handlers.state("paused", "");
  }

  /** The jitter keeps a thousand pages from coming back in the same moment after a restart. */
  #nextDelay() {
    const grown = Math.min(this.#retry * 2 ** Math.min(this.#failures, 8), LONGEST_DELAY);
    const delay = Math.max(grown, this.#retry) * (0.5 + Math.random() / 2);
    const asked = this.#retryAfter;
    this.#failures += 1;
    this.#retryAfter = 0;
    return Math.max(delay, asked);
  }

  /** @param {AbortController} step @returns {Promise<Outcome>} */
  async #attempt(step) {
    let watchdog = setTimeout(() => step.abort(), SILENCE);
    try {
      const response = await fetch(this.#nextAddress(), {
        headers: this.#headers(), cache: "no-store", signal: step.signal,
      });
      this.#readClock(response);
      if (response.status === 204) return { kind: "finished" };
      if (response.status !== 200 || response.body === null) return await this.#refusal(response);
      this.#handlers.state("live", "");
      const decoder = new SseDecoder(this.#lastEventId);
      const reader = response.body.getReader();
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => step.abort(), SILENCE);
        const ended = this.#deliver(decoder, /** @type {Uint8Array} */ (value));
        if (ended) return { kind: "finished" };
      }
      return { kind: "again" };
    } catch (error) {
      if (error instanceof RangeError) return { kind: "refused", detail: error.message };
      return { kind: "again" }; // a cut, a refused connection, or our own abort
    } finally {
      clearTimeout(watchdog);
      step.abort();
    }
  }

  /** Hand over what `bytes` complete. True when the stream ended for good. @param {SseDecoder} decoder @param {Uint8Array} bytes */
  #deliver(decoder, bytes) {
    let ended = false;
    for (const event of decoder.feed(bytes)) {
      if (event.type === "stream-open") this.#failures = 0;
      if (event.type === "stream-end") ended = FOR_GOOD.has(reason(event.data));
      this.#lastEventId = event.id;
      this.#handlers.event(event);
    }
    this.#lastEventId = decoder.lastEventId;
    if (decoder.retry !== null) this.#retry = decoder.retry;
    return ended;
  }

  #nextAddress() {
    const url = new URL(this.#address);
    if (this.#lastEventId !== "") url.searchParams.delete("since");
    return url;
  }

  #headers() {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream, application/problem+json;q=0.9" };
    if (this.#lastEventId !== "") headers["Last-Event-ID"] = this.#lastEventId;
    return headers;
  }

  /** @param {Response} response @returns {Promise<Outcome>} */
  async #refusal(response) {
    if (!passes(response.status)) return { kind: "refused", detail: await problemText(response) };
    const seconds = Number(response.headers.get("Retry-After"));
    if (seconds > 0) this.#retryAfter = Math.min(seconds * 1000, LONGEST_DELAY);
    return { kind: "again" };
  }

  /** @param {Response} response */
  #readClock(response) {
    const date = Date.parse(response.headers.get("Date") ?? "");
    if (!Number.isNaN(date)) this.#handlers.clock(date - Date.now());
  }
}

/** @param {string} data */
function reason(data) {
  try {
    return String(JSON.parse(data).reason);
  } catch {
    return "";
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
