/**
 * Position: where a reader is in a log, `epoch.offset`. Offsets go past what a Number holds, so they are BigInt.
 *
 * @typedef {{ text: string, epoch: string, offset: bigint }} Position
 */

const FORM = /^([a-z0-9]{1,32})\.(0|[1-9][0-9]{0,18})$/;

/**
 * @param {unknown} text
 * @returns {Position | null} null when `text` is no position (ephemeral events have none)
 */
export function parsePosition(text) {
  const found = typeof text === "string" ? FORM.exec(text) : null;
  return found === null ? null : { text: found[0], epoch: found[1], offset: BigInt(found[2]) };
}
