"""The front page on a phone, by keyboard, without scripts, in light and dark."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from support.browser import opened, publish, watch
from support.servers import ServerProcess


def test_no_phone_has_to_scroll_sideways(browser: Browser, shared_hub: ServerProcess) -> None:
    topic = "t" * 120 + "/" + "u" * 120
    publish(shared_hub, topic, "w" * 400, event="e" * 200)
    publish(shared_hub, topic, {"k" * 90: ["v" * 90]})
    for width in (320, 360, 390, 768, 1024):
        with opened(browser, viewport={"width": width, "height": 740}, has_touch=True) as page:
            watch(page, shared_hub, topic)
            expect(page.locator("#tape .event").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert not page.evaluate(
                """[...document.querySelectorAll("main *, header *, .lines *")]
                   .filter((e) => e.checkVisibility() && getComputedStyle(e).clipPath === "none")
                   .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
                   .map((e) => e.outerHTML.slice(0, 90))"""
            )


def test_it_can_be_used_by_keyboard_alone(page: Page, hub: ServerProcess) -> None:
    publish(hub, "first", "1")
    watch(page, hub)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the live view")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#tape-scroll")).to_be_focused()
    expect(page.locator("#chosen")).to_have_text("first")

    reach(page, "publish-topic", backwards=False)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("second")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("typed")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#publish-answer")).to_contain_text("Published as")
    expect(page.locator("#chosen")).to_have_text("second")

    reach(page, "follow-topic", backwards=True)
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_have_text("first")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#topics a").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_have_text("second")
    reach(page, "hold", backwards=False)
    page.keyboard.press("Space")
    expect(page.locator("#hold")).to_have_attribute("aria-pressed", "true")


def reach(page: Page, wanted: str, *, backwards: bool) -> None:
    """Press Tab until the element has the focus; each stop on the way must show it."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        at, outline = page.evaluate(
            "[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline != "none", f"no focus is seen at {at}"
        if at == wanted:
            return
    raise AssertionError(f"#{wanted} is not reached with Tab")


def test_every_control_has_a_name_and_every_id_is_there_once(page: Page, shared_hub: ServerProcess) -> None:
    watch(page, shared_hub)
    for control in page.locator("button:visible, input:visible, textarea:visible, a:visible, canvas").all():
        assert page.evaluate(
            "(e) => e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim()",
            control.element_handle(),
        )
    ids: list[str] = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    for name in page.evaluate(
        """[...document.querySelectorAll("[aria-labelledby], label[for]")]
           .map((e) => e.getAttribute("aria-labelledby") ?? e.htmlFor)"""
    ):
        assert name in ids


def test_without_scripts_the_page_still_says_what_to_do(browser: Browser, shared_hub: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(shared_hub.url)
        expect(page.get_by_text("The live view needs JavaScript")).to_be_visible()
        expect(page.locator("#line-subscribe")).to_contain_text("curl -N")


def test_the_lines_can_be_copied(browser: Browser, shared_hub: ServerProcess) -> None:
    with opened(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        watch(page, shared_hub, "copy/me")
        page.get_by_role("button", name="Copy the line that publishes").click()
        expect(page.locator("[data-copies=line-publish]")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == f"curl -d 'hi there' {shared_hub.url}/topics/copy/me"


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, 1.4.3."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_read_in_both_schemes(browser: Browser, shared_hub: ServerProcess) -> None:
    grounds = {"--paper", "--card", "--well"}
    pairs = [(text, ground) for text in ("--ink", "--soft", "--accent", "--warn") for ground in sorted(grounds)]
    pairs += [("--on-accent", "--accent"), ("--accent", "--wash"), ("--series-2", "--card")]
    for scheme in ("light", "dark"):
        with opened(browser, color_scheme=scheme) as page:
            page.goto(shared_hub.url)
            for text, ground in pairs:
                one, other = page.evaluate(
                    "(names) => names.map((name) => getComputedStyle(document.body).getPropertyValue(name).trim())",
                    [text, ground],
                )
                assert contrast(one, other) >= 4.5, f"{text} on {ground}, {scheme}"
