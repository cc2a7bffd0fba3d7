/** What an answer that is no success says to people. */

const MAX_LENGTH = 600;
const PASSING = new Set([408, 425, 429]);

/** Whether an answer that is no success may be another one later. @param {number} status */
export function passes(status) {
  return status < 400 || status >= 500 || PASSING.has(status);
}

/**
 * The detail of a problem document (RFC 9457), or the status when there is none.
 * @param {Response} response
 * @returns {Promise<string>}
 */
export async function problemText(response) {
  const fallback = `The hub answered ${response.status} ${response.statusText}`.trim() + ".";
  try {
    const problem = await response.json();
    return String(problem.detail ?? problem.title ?? fallback).slice(0, MAX_LENGTH);
  } catch {
    return fallback;
  }
}
