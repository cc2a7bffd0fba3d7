/**
 * Bytes of an event stream in, events out (WHATWG HTML, 9.2.6 "Interpreting an event stream").
 *
 * Why not native `EventSource`: it gives an event only to listeners of that event's name,
 * and here the names are whatever people publish.
 *
 * Rules that are easy to get wrong, so they are named:
 * - lines end with CR, LF or CRLF, and a CRLF may be cut between two chunks;
 * - one BOM at the very start is dropped, which `TextDecoder` does by itself;
 * - one space after the colon belongs to the syntax, the second to the value;
 * - `id` counts when its event is complete, even when that event has no data;
 * - `id` with NUL and `retry` with anything but digits are ignored;
 * - what no blank line has ended is never given.
 */

/**
 * @typedef {object} SseEvent
 * @property {string} type  the event's name, "message" when it has none
 * @property {string} data
 * @property {string} id    the last id seen, this event's own or an earlier one's
 */

/** More than the largest event (256 KiB) with each of its characters escaped, in UTF-16 units. */
const MAX_EVENT_LENGTH = 4 * 1024 * 1024;

export class SseDecoder {
  #text = new TextDecoder();
  /** The part of a line that has come so far. */
  #line = "";
  /** The last character was CR: an LF that follows belongs to it. */
  #afterCr = false;
  #type = "";
  /** @type {string[]} */
  #data = [];
  #size = 0;
  #idBuffer;

  /** The reconnection time in milliseconds that the stream asked for, null before it did. @type {number | null} */
  retry = null;

  /** @param {string} [lastEventId] the id that this connection goes on from */
  constructor(lastEventId = "") {
    this.#idBuffer = lastEventId;
    /** The id to send when connecting again. */
    this.lastEventId = lastEventId;
  }

  /**
   * The events that `bytes` complete. Throws `RangeError` for an event past the bound.
   * @param {Uint8Array} bytes
   * @returns {SseEvent[]}
   */
  feed(bytes) {
    const text = this.#text.decode(bytes, { stream: true });
    /** @type {SseEvent[]} */
    const events = [];
    let start = 0;
    if (this.#afterCr && text.length > 0) {
      this.#afterCr = false;
      if (text[0] === "\n") start = 1;
    }
    const breaks = /\r\n|\r|\n/g;
    breaks.lastIndex = start;
    for (let found = breaks.exec(text); found !== null; found = breaks.exec(text)) {
      const line = this.#line + text.slice(start, found.index);
      this.#line = "";
      start = breaks.lastIndex;
      this.#afterCr = found[0] === "\r" && start === text.length;
      const event = this.#take(line);
      if (event !== null) events.push(event);
    }
    this.#line += text.slice(start);
    if (this.#line.length + this.#size > MAX_EVENT_LENGTH) {
      throw new RangeError(`an event is longer than ${MAX_EVENT_LENGTH} characters`);
    }
    return events;
  }

  /** @param {string} line @returns {SseEvent | null} */
  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    if (field === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (field === "event") {
      this.#type = value;
    } else if (field === "id") {
      if (!value.includes("\0")) this.#idBuffer = value;
    } else if (field === "retry") {
      if (/^[0-9]+$/.test(value)) this.retry = Math.min(Number(value), 2 ** 31 - 1);
    }
    return null;
  }

  /** @returns {SseEvent | null} */
  #dispatch() {
    this.lastEventId = this.#idBuffer;
    const type = this.#type || "message";
    const lines = this.#data;
    this.#type = "";
    this.#data = [];
    this.#size = 0;
    return lines.length === 0 ? null : { type, data: lines.join("\n"), id: this.lastEventId };
  }
}
