/** Numbers as people read them. */

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** @param {number} value */
export function bytes(value) {
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${plain.format(value)}\u202f${UNITS[unit]}`;
}

/** @param {number} value */
export function count(value) {
  return value >= 10_000 ? new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value) : plain.format(value);
}

/** The next of 1, 2, 5, 10, 20, 50, ... at or above `value`, for the top of an axis. @param {number} value @param {number} least */
export function roundUp(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return power * ([1, 2, 5].find((step) => step * power >= wanted) ?? 10);
}

/** A number out of JSON, null for anything else. @param {unknown} value @returns {number | null} */
export function figure(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
