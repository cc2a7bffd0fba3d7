"""The publish box of the front page."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from support.browser import EVENTS, publish, watch
from support.servers import ServerProcess


def test_publishing_tells_the_id(page: Page, hub: ServerProcess) -> None:
    watch(page, hub)
    page.get_by_label("Topic", exact=True).fill("from/the page")
    page.get_by_role("textbox", name="Event").fill("greeting")
    page.get_by_role("textbox", name="Data").fill('{"n": 1}')
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#publish-answer")).to_have_text(re.compile(r"^Published as [a-z0-9]+\.1 · full durability$"))
    expect(page.locator("#chosen")).to_have_text("from/the page")
    expect(page.locator(EVENTS)).to_have_text(['{"n": 1}'])
    expect(page.locator("#tape .event .meta .name")).to_have_text("greeting")


def test_publishing_tells_what_is_wrong(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "elsewhere")
    answer = page.locator("#publish-answer")
    for topic, event, told in (
        ("hub/mine", "", "the hub's own"),
        ("orders/*", "", "'*'"),
        ("a//b", "", "empty segment"),
        ("a/../b", "", "segment .."),
        ("fine", "stream-end", "reserved"),
    ):
        page.get_by_label("Topic", exact=True).fill(topic)
        page.get_by_role("textbox", name="Event").fill(event)
        page.get_by_role("button", name="Publish", exact=True).click()
        expect(answer).to_contain_text(told)
        expect(answer).to_have_class("problem")
    page.get_by_role("textbox", name="Event").fill("")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(answer).to_contain_text("Published as")
    expect(answer).not_to_have_class("problem")


def test_publishing_again_after_a_lost_answer_publishes_once(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "careful")
    page.get_by_role("textbox", name="Data").fill("only once")
    page.route("**/topics/careful", lambda route: (route.fetch(), route.abort())[1])
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#publish-answer")).to_contain_text("cannot be reached")
    page.unroute("**/topics/careful")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#publish-answer")).to_contain_text("Published as")
    publish(shared_hub, "careful", "after it")
    expect(page.locator(EVENTS)).to_have_text(["only once", "after it"])
