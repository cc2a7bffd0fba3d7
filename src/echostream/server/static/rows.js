/**
 * Rows: what is shown of one topic, put together from two sources without loss or doubles.
 *
 * The kept events (one answer) and the live stream overlap in any way: the answer may hold events that the
 * stream is still to bring, or miss some that the stream has brought. Both are in one total order, so a row
 * goes where its offset says, and an offset that is there already is the same event.
 *
 * `floor` is what keeps that true once rows leave at the front: an offset at or below it was shown before.
 */

/** @typedef {import("./envelope.js").Envelope} Envelope */
/** @typedef {{ key: number, kind: "event", event: Envelope }} EventRow */
/** @typedef {{ key: number, kind: "note" | "gap", text: string, time: number }} NoteRow */
/** @typedef {EventRow | NoteRow} Row */

const MAX_ROWS = 200;

export class Rows {
  /** @type {Row[]} */
  list = [];
  #shown = new Set();
  /** By epoch. @type {Map<string, bigint>} */
  #floor = new Map();
  #nextKey = 0;

  /** @param {string} topic */
  constructor(topic) {
    this.topic = topic;
  }

  /** @param {Envelope} event @returns {boolean} false when it was there already */
  add(event) {
    const { position } = event;
    if (position !== null) {
      const floor = this.#floor.get(position.epoch);
      if (this.#shown.has(position.text) || (floor !== undefined && position.offset <= floor)) return false;
      this.#shown.add(position.text);
    }
    this.list.splice(this.#place(position), 0, { key: this.#nextKey++, kind: "event", event });
    this.#trim();
    return true;
  }

  /** Something the stream says about itself. @param {"note" | "gap"} kind @param {string} text @param {number} time */
  note(kind, text, time) {
    this.list.push({ key: this.#nextKey++, kind, text, time });
    this.#trim();
  }

  /** Where a row of this position goes: before the first row of a greater offset, else at the end. @param {Envelope["position"]} position */
  #place(position) {
    let place = this.list.length;
    if (position === null) return place;
    for (let index = place - 1; index >= 0; index -= 1) {
      const row = this.list[index];
      const other = row.kind === "event" ? row.event.position : null;
      if (other === null || other.epoch !== position.epoch) continue;
      if (other.offset < position.offset) break;
      place = index;
    }
    return place;
  }

  #trim() {
    while (this.list.length > MAX_ROWS) {
      const row = /** @type {Row} */ (this.list.shift());
      const position = row.kind === "event" ? row.event.position : null;
      if (position === null) continue;
      this.#shown.delete(position.text);
      const floor = this.#floor.get(position.epoch);
      if (floor === undefined || floor < position.offset) this.#floor.set(position.epoch, position.offset);
    }
  }
}
