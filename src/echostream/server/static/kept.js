/** Kept: what the log holds of one topic, asked for once. */

import { readEnvelope } from "./envelope.js";
import { elements } from "./json.js";
import { passes, problemText } from "./problem.js";
import { address, topicPath } from "./topic.js";

/** How many events are asked for. */
const KEPT = 100;

/** An answer of the hub that trying again does not change. */
export class Refused extends Error {}

/**
 * The topic's last kept events. Throws `Refused` with the problem's text, `TypeError` when asking again may help.
 * @param {string} topic
 * @param {AbortSignal} signal
 */
export async function fetchKept(topic, signal) {
  const response = await ask("GET", topic, { live: "false", since: `-${KEPT}`, format: "json" }, {}, signal);
  if (!response.ok && passes(response.status)) throw new TypeError(await problemText(response));
  if (!response.ok) throw new Refused(await problemText(response));
  const texts = response.status === 204 ? [] : elements(await response.text());
  if (texts === null) throw new TypeError("the answer was cut");
  return texts.map(readEnvelope).filter((event) => event !== null);
}

/**
 * Whether the topic was ended: then nothing can follow `position`, and the hub says 204. Asked by HEAD, which
 * opens no stream.
 * @param {string} topic
 * @param {string} position
 * @param {AbortSignal} signal
 */
export async function isFinished(topic, position, signal) {
  const response = await ask("HEAD", topic, { format: "ndjson" }, { "Last-Event-ID": position }, signal);
  return response.status === 204;
}

/**
 * @param {"GET" | "HEAD"} method
 * @param {string} topic
 * @param {Record<string, string>} query
 * @param {Record<string, string>} headers
 * @param {AbortSignal} signal
 */
function ask(method, topic, query, headers, signal) {
  return fetch(address(`topics/${topicPath(topic)}`, Object.entries(query)), {
    method,
    headers: { Accept: "application/json, application/x-ndjson, application/problem+json;q=0.9", ...headers },
    cache: "no-store",
    signal,
  });
}
