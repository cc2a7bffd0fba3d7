/** Copy: the lines to try, and the buttons beside them. */

import { byId, setText } from "./dom.js";
import { address, HUB_PREFIX, topicPath, topicProblem } from "./topic.js";

const SAID_FOR = 2000;

/** Make the buttons of the page copy the line they name. */
export function startCopying() {
  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.addEventListener("click", () => void copy(/** @type {HTMLButtonElement} */ (button)));
  }
}

/** The topic of lines that must not name the chosen one: a link may choose `../..`, and the lines would lead elsewhere. */
const EXAMPLE = "hello";

/** Show the two lines for `topic`. @param {string} topic */
export function showLines(topic) {
  const source = topicProblem(topic) === null ? topic : EXAMPLE;
  const target = source.startsWith(HUB_PREFIX) ? EXAMPLE : source;
  setText(byId("line-subscribe", HTMLElement), `curl -N ${address(`topics/${topicPath(source)}`)}`);
  setText(byId("line-publish", HTMLElement), `curl -d 'hi there' ${address(`topics/${topicPath(target)}`)}`);
}

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const line = byId(button.dataset.copies ?? "", HTMLElement);
  const copied = await write(line);
  setText(button, copied ? "Copied" : "Press Ctrl+C");
  setTimeout(() => setText(button, "Copy"), SAID_FOR);
}

/** The clipboard is for secure contexts only; elsewhere the line is selected for the reader's own hand. @param {HTMLElement} line */
async function write(line) {
  try {
    await navigator.clipboard.writeText(line.textContent ?? "");
    return true;
  } catch {
    window.getSelection()?.selectAllChildren(line);
    return false;
  }
}
