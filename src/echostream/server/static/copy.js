/** Copy: the lines to try, and the buttons beside them. */

import { byId, setText } from "./dom.js";
import { address, HUB_PREFIX, topicPath } from "./topic.js";

const SAID_FOR = 2000;

/** Make the buttons of the page copy the line they name. */
export function startCopying() {
  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.addEventListener("click", () => void copy(/** @type {HTMLButtonElement} */ (button)));
  }
}

/** Show the two lines for `topic`. @param {string} topic */
export function showLines(topic) {
  const target = topic.startsWith(HUB_PREFIX) ? "hello" : topic;
  setText(byId("line-subscribe", HTMLElement), `curl -N ${address(`topics/${topicPath(topic)}`)}`);
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
