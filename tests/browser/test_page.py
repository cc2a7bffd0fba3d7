"""What the front page shows, in a real browser, of a real hub."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, Request, expect

from support.browser import EVENTS, Publisher, numbers, publish, watch
from support.servers import ServerProcess


def test_events_show_one_by_one_as_they_are_published(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "news")
    expect(page.locator("#tape-empty")).to_be_visible()
    for count in range(1, 6):
        publish(shared_hub, "news", f"number {count}", event="tick")
        expect(page.locator(EVENTS)).to_have_text([f"number {n}" for n in range(1, count + 1)])
    expect(page.locator("#tape-empty")).to_be_hidden()
    last = page.locator("#tape .event").last
    expect(last.locator(".meta .name")).to_have_text("tick")
    expect(last.locator(".id")).to_have_text(re.compile(r"^[a-z0-9]+\.\d+$"))
    expect(page.locator("#position")).to_have_text(last.locator(".id").inner_text())
    expect(last.locator(".time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d\.\d\d\d"))
    expect(page.locator("#rate")).not_to_have_text("0/s")
    expect(page.locator("#resume")).to_have_text("live")


def test_what_was_kept_and_what_comes_meet_without_a_seam(page: Page, shared_hub: ServerProcess) -> None:
    with Publisher(shared_hub, "busy", count=150, every=0.01) as publisher:
        page.wait_for_timeout(200)  # so that some are kept before the page comes; how many does not matter
        watch(page, shared_hub, "busy")
        publisher.finish()
    expect(page.locator(EVENTS)).to_have_text(numbers(150))


def test_the_list_is_bounded(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "flood")
    with Publisher(shared_hub, "flood", count=320, every=0) as publisher:
        publisher.finish()
    expect(page.locator(EVENTS).last).to_have_text("320")
    expect(page.locator(EVENTS)).to_have_text(numbers(320)[120:])


def test_topics_are_learned_and_chosen(page: Page, hub: ServerProcess) -> None:
    publish(hub, "early/one", "before the page")
    watch(page, hub)
    expect(page.locator("#chosen")).to_have_text("early/one")
    publish(hub, "later", "while it is open")
    page.locator("#topics").get_by_role("link", name="later").click()
    expect(page.locator("#chosen")).to_have_text("later")
    expect(page.locator(EVENTS)).to_have_text(["while it is open"])
    expect(page.locator("#topics [aria-current] bdi")).to_have_text("later")
    expect(page.locator("#line-publish")).to_have_text(f"curl -d 'hi there' {hub.url}/topics/later")
    expect(page.locator("#topics bdi").last).to_have_text("hub/streams")
    page.go_back()
    page.reload()
    expect(page.locator("#topics").get_by_role("link", name="later")).to_be_visible()


def test_until_somebody_chooses_it_turns_to_what_people_publish(page: Page, hub: ServerProcess) -> None:
    watch(page, hub)
    expect(page.locator("#chosen")).to_have_text("hub/machine")
    publish(hub, "hello", "hi there")
    expect(page.locator("#chosen")).to_have_text("hello")
    expect(page.locator(EVENTS)).to_have_text(["hi there"])


def test_the_machine_and_the_hub_are_drawn(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub)
    expect(page.locator("#machine-cpu")).to_have_text(re.compile(r"^\d+\s%$"))
    expect(page.locator("#machine-memory")).to_have_text(re.compile(r"^[1-9]\d*\s%$"))
    expect(page.locator("#hub-readers")).to_have_text(re.compile(r"^[1-9]\d*$"))
    page.wait_for_function("""() => {
      const colors = (id, name) => {
        const canvas = document.getElementById(id);
        const color = getComputedStyle(canvas).getPropertyValue(name);
        const wanted = color.match(/[0-9a-f]{2}/g).map((pair) => parseInt(pair, 16));
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        let found = 0;
        for (let at = 0; at < data.length; at += 4) {
          if (data[at + 3] > 200 && wanted.every((part, index) => Math.abs(part - data[at + index]) < 12)) found += 1;
        }
        return found;
      };
      const lines = [["machine-chart", "--series-1"], ["machine-chart", "--series-2"], ["hub-chart", "--series-1"]];
      return lines.every(([id, name]) => colors(id, name) > 8);
    }""")


def test_a_page_takes_one_connection(page: Page, hub: ServerProcess) -> None:
    streams: list[Request] = []
    page.on("request", lambda request: streams.append(request) if "/stream?" in request.url else None)
    watch(page, hub)
    publish(hub, "one", "1")
    expect(page.locator("#chosen")).to_have_text("one")
    expect(page.locator("#hub-readers")).to_have_text("1")
    assert len(streams) == 1


def test_long_data_is_cut_until_asked_for(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "long")
    publish(shared_hub, "long", "x" * 9000)
    publish(shared_hub, "long", {"numbers": [12345678901234567890] * 500})
    expect(page.locator(EVENTS).first).to_have_text("x" * 2048 + "…")
    more = page.locator("#tape .more")
    expect(more.first).to_have_text("Show all 9,000 characters")
    more.first.click()
    expect(page.locator(EVENTS).first).to_have_text("x" * 9000)
    more.first.click()
    expect(page.locator(EVENTS).first).to_have_text("x" * 2048 + "…")
    more.last.click()
    assert json.loads(page.locator(EVENTS).last.inner_text()) == {"numbers": [12345678901234567890] * 500}


def test_a_finished_topic_says_so(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "story")
    publish(shared_hub, "story", "once upon a time")
    expect(page.locator("#state")).to_have_text("Live")
    publish(shared_hub, "story", "the end", end=1)
    expect(page.locator("#state")).to_have_text("Finished")
    expect(page.locator(EVENTS)).to_have_text(["once upon a time", "the end"])
    page.reload()
    expect(page.locator("#state")).to_have_text("Finished")


def test_holding_stands_still_and_loses_nothing(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "held")
    publish(shared_hub, "held", "1")
    expect(page.locator(EVENTS)).to_have_text(["1"])
    hold = page.get_by_role("button", name="Hold")
    hold.click()
    publish(shared_hub, "held", "2")
    expect(page.locator("#topics [aria-current] .count")).to_have_text("2")
    expect(page.locator(EVENTS)).to_have_text(["1"])
    hold.click()
    expect(page.locator(EVENTS)).to_have_text(["1", "2"])


def test_reading_further_up_is_not_disturbed(page: Page, shared_hub: ServerProcess) -> None:
    for number in range(1, 81):
        publish(shared_hub, "up", str(number))
    watch(page, shared_hub, "up")
    expect(page.locator(EVENTS)).to_have_count(80)
    scroller = page.locator("#tape-scroll")
    assert scroller.evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight") < 2
    scroller.evaluate("(e) => { e.scrollTop = 0; }")
    publish(shared_hub, "up", "81")
    expect(page.locator(EVENTS)).to_have_count(81)
    expect(page.locator("#to-end")).to_be_visible()
    assert scroller.evaluate("(e) => e.scrollTop") == 0
    page.locator("#to-end").click()
    expect(page.locator("#to-end")).to_be_hidden()
    assert scroller.evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight") < 2
