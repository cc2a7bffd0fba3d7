/** Publish: the form that sends one event, and says what became of it. */

import { byId, setText } from "./dom.js";
import { problemText } from "./problem.js";
import { address, topicPath, topicProblem } from "./topic.js";

export class PublishForm {
  #form = byId("publish", HTMLFormElement);
  #topic = byId("publish-topic", HTMLInputElement);
  #event = byId("publish-event", HTMLInputElement);
  #data = byId("publish-data", HTMLTextAreaElement);
  #button = byId("publish-send", HTMLButtonElement);
  #answer = byId("publish-answer", HTMLElement);
  #published;
  #edited = false;
  /** What was sent last without an answer, and its key: sent again, it is not published twice. */
  #unanswered = { body: "", key: "" };

  /** @param {(topic: string) => void} published */
  constructor(published) {
    this.#published = published;
    this.#topic.addEventListener("input", () => {
      this.#edited = true;
    });
    this.#form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      void this.#send();
    });
    this.#data.addEventListener("keydown", (key) => {
      if (key.key === "Enter" && (key.ctrlKey || key.metaKey) && !key.isComposing) this.#form.requestSubmit();
    });
  }

  /** Propose a topic, unless somebody typed one. @param {string} topic */
  propose(topic) {
    if (!this.#edited) this.#topic.value = topic;
  }

  async #send() {
    const topic = this.#topic.value;
    const problem = topicProblem(topic);
    if (problem !== null) {
      this.#say(problem, false);
      this.#topic.focus();
      return;
    }
    this.#button.disabled = true;
    this.#say("Publishing …", true);
    try {
      const response = await this.#post(topic);
      this.#unanswered = { body: "", key: "" };
      if (!response.ok) {
        this.#say(await problemText(response), false);
        return;
      }
      const { id, durability } = await response.json();
      this.#say(`Published as ${id} · ${durability} durability`, true);
      this.#published(topic);
    } catch {
      this.#say("The hub cannot be reached. Publish again: it is not published twice.", false);
    } finally {
      this.#button.disabled = false;
    }
  }

  /** @param {string} topic */
  #post(topic) {
    const event = this.#event.value;
    const data = this.#data.value;
    const body = JSON.stringify([topic, event, data]);
    if (this.#unanswered.body !== body) this.#unanswered = { body, key: randomWord() };
    return fetch(address(`topics/${topicPath(topic)}`, event === "" ? [] : [["event", event]]), {
      method: "POST",
      headers: {
        Accept: "application/json, application/problem+json",
        "Content-Type": isJson(data) ? "application/json" : "text/plain; charset=utf-8",
        "Idempotency-Key": this.#unanswered.key,
      },
      body: data,
    });
  }

  /** @param {string} text @param {boolean} well */
  #say(text, well) {
    this.#answer.classList.toggle("problem", !well);
    setText(this.#answer, text);
  }
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Not `crypto.randomUUID`, which plain http on a local network does not have. */
function randomWord() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
