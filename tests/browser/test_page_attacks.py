"""What people publish, and what links say, is shown by the front page and never obeyed."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from support.browser import EVENTS, publish, watch
from support.servers import ServerProcess

CANARIES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "</textarea><iframe srcdoc='<script>alert(1)</script>'>",
    "\u202egnp.exe",
]


def test_what_people_publish_is_text_and_nothing_else(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub)
    for canary in CANARIES:
        publish(shared_hub, canary.replace("/", "-"), canary, event=canary)
        publish(shared_hub, "all", {canary: [canary]}, event=canary)
    page.locator("#topics").get_by_role("link", name="all").click()
    expect(page.locator("#tape .event")).to_have_count(len(CANARIES))
    expect(page.locator("#tape .event .meta .name")).to_have_text(CANARIES)
    for canary in CANARIES:
        link = page.locator("#topics a", has=page.get_by_text(canary.replace("/", "-"), exact=True))
        link.click()
        expect(page.locator("#chosen")).to_have_text(canary.replace("/", "-"))
        expect(page.locator(EVENTS)).to_have_text([canary])
    assert page.locator("img:not(.mark), svg, iframe, script:not([src])").count() == 0


def test_a_topic_cannot_lead_an_address_elsewhere(page: Page, shared_hub: ServerProcess) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    watch(page, shared_hub, "..%2F..%2Fmetrics")
    expect(page.locator("#tape-refusal")).to_contain_text("no segment ..")
    for line in ("#line-subscribe", "#line-publish"):
        expect(page.locator(line)).to_contain_text(f"{shared_hub.url}/topics/hello")
    page.goto(f"{shared_hub.url}/#/x%3Fformat=text%23%26'%3Breboot%3B'")
    expect(page.locator("#chosen")).to_have_text("x?format=text#&';reboot;'")
    expect(page.locator("#tape-empty")).to_be_visible()
    line = page.locator("#line-subscribe").inner_text()
    assert line.endswith("/topics/x%3Fformat%3Dtext%23%26%27%3Breboot%3B%27")
    assert not [url for url in asked if "metrics" in url.removesuffix("#/..%2F..%2Fmetrics")]


def test_the_hub_s_refusal_of_a_topic_is_shown(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub, "a/*/b*")
    expect(page.locator("#tape-refusal")).to_contain_text("has a '*'")
