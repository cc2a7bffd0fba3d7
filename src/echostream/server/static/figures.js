/** Figures: what the hub tells of its machine (`hub/machine`) and of itself (`hub/streams`), as charts and numbers. */

import { Chart } from "./chart.js";
import { byId, setText } from "./dom.js";
import { bytes, count, figure, roundUp } from "./units.js";

export const MACHINE = "hub/machine";
const STREAMS = "hub/streams";

export class Figures {
  #machine = new Chart(byId("machine-chart", HTMLCanvasElement), {
    colors: ["--series-1", "--series-2"],
    top: () => 100,
    label: (value) => `${value}\u202f%`,
  });
  #hub = new Chart(byId("hub-chart", HTMLCanvasElement), {
    colors: ["--series-1", "--series-2"],
    top: (max) => roundUp(max, 2),
    label: (value) => `${count(value)}/s`,
  });

  /** Take an event of the hub's own topics; others are none of ours. @param {import("./envelope.js").Envelope} event */
  take(event) {
    if (event.topic !== MACHINE && event.topic !== STREAMS) return;
    const facts = JSON.parse(event.data);
    if (typeof facts !== "object" || facts === null) return;
    if (event.topic === MACHINE) this.#showMachine(facts, event.time);
    else if (event.event === "stats") this.#showHub(facts, event.time);
    else show("hub-readers", figure(facts.readers), count);
  }

  /** @param {Record<string, unknown>} facts @param {number} time */
  #showMachine(facts, time) {
    this.#machine.add({ time, values: [figure(facts.cpu), figure(facts.memory)] });
    show("machine-cpu", figure(facts.cpu), percent);
    show("machine-memory", figure(facts.memory), percent);
    show("machine-load", figure(facts.load), (value) => value.toFixed(2));
    show("machine-received", figure(facts.received), (value) => `${bytes(value)}/s`);
    show("machine-sent", figure(facts.sent), (value) => `${bytes(value)}/s`);
  }

  /** @param {Record<string, unknown>} facts @param {number} time */
  #showHub(facts, time) {
    this.#hub.add({ time, values: [figure(facts.delivered), figure(facts.published)] });
    show("hub-delivered", figure(facts.delivered), (value) => `${count(value)}/s`);
    show("hub-published", figure(facts.published), (value) => `${count(value)}/s`);
    show("hub-readers", figure(facts.readers), count);
    show("hub-bytes", figure(facts.bytes), (value) => `${bytes(value)}/s`);
  }
}

/** @param {number} value */
const percent = (value) => `${value.toFixed(0)}\u202f%`;

/** @param {string} id @param {number | null} value @param {(value: number) => string} format */
function show(id, value, format) {
  setText(byId(id, HTMLElement), value === null ? "–" : format(value));
}
