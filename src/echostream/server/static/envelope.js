/**
 * The envelope: one JSON object that carries a whole event. Its `data` stays text as it came.
 *
 * @typedef {object} Envelope
 * @property {import("./position.js").Position | null} position  null for ephemeral events
 * @property {string} topic
 * @property {string} event  the type's name, "" when it has none
 * @property {string} data   JSON text; a JSON string when the event is text
 * @property {number} time   milliseconds since 1970 by the hub's clock, NaN when not told
 */

import { members } from "./json.js";
import { parsePosition } from "./position.js";

/**
 * @param {string} text
 * @returns {Envelope | null} null when `text` is no envelope
 */
export function readEnvelope(text) {
  const found = members(text);
  const topic = found && parsed(found.get("topic"));
  if (!found || typeof topic !== "string") return null;
  return {
    position: parsePosition(parsed(found.get("id"))),
    topic,
    event: String(parsed(found.get("event")) ?? ""),
    data: found.get("data") ?? "null",
    time: Date.parse(String(parsed(found.get("time")) ?? "")),
  };
}

/** @param {string | undefined} text @returns {unknown} */
function parsed(text) {
  return text === undefined ? undefined : JSON.parse(text);
}
