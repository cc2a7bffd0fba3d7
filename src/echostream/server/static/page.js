/**
 * The page: one stream for everything, and the parts that show it.
 *
 * One connection carries the hub's own topics and everybody's, because a browser opens six to a host and a
 * reader may have the page in many tabs. A pattern that begins with a wildcard leaves out `hub/...`, hence two.
 */

import { showLines, startCopying } from "./copy.js";
import { byId, setText } from "./dom.js";
import { readEnvelope } from "./envelope.js";
import { Figures, MACHINE } from "./figures.js";
import { PublishForm } from "./publish.js";
import { Stream } from "./stream.js";
import { address, HUB_PREFIX, topicFragment, topicOfFragment } from "./topic.js";
import { Topics } from "./topics.js";
import { count } from "./units.js";
import { View } from "./view.js";

/** How many events are replayed to learn the topics there are. */
const REPLAY = 200;
/** A tab that is hidden for so long gives its connection back; its position is kept. */
const HIDDEN = 20_000;
const DRAW_EVERY = 500;
const SUGGEST_AFTER = 100;

const STATES = {
  connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", paused: "Paused", finished: "Finished", refused: "Refused",
};
/** @type {Record<string, string>} */
const VERDICTS = {
  live: "live", resumed: "resumed, nothing lost", gap: "gap, some events are lost", reset: "reset, another log",
};

const topics = new Topics(byId("topics", HTMLElement));
const figures = new Figures();
const stream = new Stream(
  address("stream", [["topic", "hub/**"], ["topic", "**"], ["since", `-${REPLAY}`], ["envelope", "1"]]),
  { event: onEvent, state: onState, clock: (ahead) => { clockAhead = ahead; } },
);
const view = new View(() => stream.position, draw);
const publish = new PublishForm((topic) => {
  if (!chosenByHand) choose(topic);
});

let clockAhead = 0;
let state = /** @type {import("./stream.js").State} */ ("connecting");
/** Somebody asked for this topic: nothing changes it but them. */
let chosenByHand = false;
let suggested = "";

const now = () => Date.now() + clockAhead;

/** @param {import("./decoder.js").SseEvent} event */
function onEvent(event) {
  if (event.type.startsWith("stream-")) {
    onControl(event.type, event.data);
    return;
  }
  const envelope = readEnvelope(event.data);
  if (envelope === null) return;
  if (Number.isNaN(envelope.time)) envelope.time = now(); // ephemeral: it is shown now or never
  topics.saw(envelope.topic, envelope.time, now());
  figures.take(envelope);
  suggest(envelope.topic);
  view.take(envelope);
}

/**
 * Until somebody chooses, show what is most telling: what people published last, else the machine's figures. The
 * wait lets a replay go by, so that its last topic is chosen and not its first.
 * @param {string} topic
 */
function suggest(topic) {
  const own = topic.startsWith(HUB_PREFIX);
  const settled = own ? view.topic !== "" || topic !== MACHINE : view.topic !== "" && !view.topic.startsWith(HUB_PREFIX);
  if (chosenByHand || settled) return;
  if (suggested === "") setTimeout(takeSuggestion, SUGGEST_AFTER);
  if (!own || suggested === "") suggested = topic;
}

function takeSuggestion() {
  if (!chosenByHand) choose(suggested);
  suggested = "";
}

/** @param {string} type @param {string} data */
function onControl(type, data) {
  const facts = JSON.parse(data);
  if (type === "stream-open") {
    setText(byId("resume", HTMLElement), VERDICTS[facts.resume] ?? String(facts.resume));
    byId("resume", HTMLElement).dataset.verdict = String(facts.resume);
    if (facts.resume === "resumed") view.note("note", "Reconnected, and went on where it was.", now());
  } else if (type === "stream-gap") {
    view.note("gap", gapText(facts), now());
  } else if (type === "stream-error") {
    view.note("gap", `The stream failed: ${facts.message}`, now());
  }
}

/** @param {{ reason: string, dropped: number | null }} facts */
function gapText({ reason, dropped }) {
  const many = dropped === null ? "Some events" : `${count(dropped)} ${dropped === 1 ? "event" : "events"}`;
  switch (reason) {
    case "dropped": return `${many} passed while this page was behind. They were ephemeral and are not kept.`;
    case "corrupt": return `Gap: ${many.toLowerCase()} of the log are damaged and are not served.`;
    case "reset": return "Reset: the hub has another log now. What follows begins at its oldest event.";
    default: return `Gap: ${many.toLowerCase()} are no longer kept, and are lost to this page.`;
  }
}

/** @param {import("./stream.js").State} next @param {string} detail */
function onState(next, detail) {
  state = next;
  byId("refused", HTMLElement).hidden = next !== "refused";
  setText(byId("refused", HTMLElement), detail);
  draw();
}

function draw() {
  const shown = state === "live" && view.finished ? "finished" : state;
  document.body.dataset.state = state;
  setText(byId("connection", HTMLElement), STATES[state]);
  byId("state", HTMLElement).dataset.state = shown;
  setText(byId("state", HTMLElement), shown.replace(/^./, (letter) => letter.toUpperCase()));
  setText(byId("position", HTMLElement), stream.position || "–");
  setText(byId("rate", HTMLElement), `${count(topics.chosenRate(now()))}/s`);
  topics.draw(now());
}

/** @param {string} topic */
function choose(topic) {
  topics.choose(topic);
  view.choose(topic);
  const own = topic.startsWith(HUB_PREFIX);
  setText(byId("chosen", HTMLElement), topic);
  showLines(own && !chosenByHand ? "hello" : topic);
  publish.propose(own ? "hello" : topic);
  draw();
}

/** Choose the topic that the address names, if it does. */
function chooseByAddress() {
  const topic = topicOfFragment(location.hash);
  if (topic === null || topic === view.topic) return;
  chosenByHand = true;
  choose(topic);
}

function startChoosing() {
  const input = byId("follow-topic", HTMLInputElement);
  byId("follow", HTMLFormElement).addEventListener("submit", (submit) => {
    submit.preventDefault();
    if (input.value === "") return;
    location.hash = topicFragment(input.value);
    chooseByAddress();
    input.value = "";
  });
  addEventListener("hashchange", chooseByAddress);
  chooseByAddress();
}

function startResting() {
  let hidden = 0;
  const look = () => {
    clearTimeout(hidden);
    if (document.visibilityState === "hidden") hidden = setTimeout(() => stream.pause(), HIDDEN);
    else stream.start();
  };
  document.addEventListener("visibilitychange", look);
  look(); // a tab opened in the background sees no change until somebody turns to it
  addEventListener("online", () => stream.hurry());
  addEventListener("focus", () => stream.hurry());
  addEventListener("pagehide", () => stream.pause());
  addEventListener("pageshow", () => stream.start());
}

byId("scriptless", HTMLElement).hidden = true;
showLines("hello");
startCopying();
startChoosing();
startResting();
stream.start();
setInterval(draw, DRAW_EVERY);
