/** Topic names as parts of addresses. */

/** The hub's own topics; publishing there is refused. */
export const HUB_PREFIX = "hub/";

/**
 * Why `name` must not be put into an address, or null. The hub knows all the rules and answers with them;
 * here are only those that a browser would act on before the hub could: it resolves `..` and drops `.`.
 * @param {string} name
 * @returns {string | null}
 */
export function topicProblem(name) {
  if (name === "") return "Name a topic, for example hello or orders/eu.";
  for (const segment of name.split("/")) {
    if (segment === "") return "A topic has no empty segment: write it without leading, trailing or double /.";
    if (segment === "." || segment === "..") return `A topic has no segment ${segment}`;
  }
  return null;
}

/**
 * The topic's part of an address. Everything but letters, digits and `._-` is percent-encoded, which is more
 * than an address needs: the curl lines are pasted into shells, and a topic may be named `x';reboot;'`.
 * @param {string} name
 */
export function topicPath(name) {
  return name.split("/").map(encodeSegment).join("/");
}

/** @param {string} segment */
function encodeSegment(segment) {
  const wellFormed = segment.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
  return encodeURIComponent(wellFormed).replace(/[!'()*~]/g, (char) => "%" + char.charCodeAt(0).toString(16).toUpperCase());
}

/** The page's own address of a topic, `#/orders/eu`. The slash sets it apart from the ids of elements. @param {string} name */
export function topicFragment(name) {
  return "#/" + topicPath(name);
}

/** @param {string} fragment @returns {string | null} null when it names no topic */
export function topicOfFragment(fragment) {
  if (!fragment.startsWith("#/")) return null;
  try {
    return decodeURIComponent(fragment.slice(2)) || null;
  } catch {
    return null; // not percent-encoded UTF-8
  }
}

/**
 * The address of a call of the hub, relative to the page, so that the hub may live under a prefix.
 * @param {string} path
 * @param {Iterable<[string, string]>} [query]
 */
export function address(path, query = []) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  url.search = new URLSearchParams([...query]).toString();
  return url;
}
