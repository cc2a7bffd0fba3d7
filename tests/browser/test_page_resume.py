"""The front page goes on where it was, or says what is lost."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, expect

from support.browser import EVENTS, Publisher, numbers, publish, watch
from support.servers import ServerProcess, running_hub


def test_nothing_is_lost_or_doubled_when_the_hub_is_killed(page: Page, hub: ServerProcess) -> None:
    watch(page, hub, "count")
    with Publisher(hub, "count", count=150) as publisher:
        expect(page.locator(EVENTS).first).to_have_text("1")
        hub.kill()
        expect(page.locator("#connection")).to_have_text("Reconnecting")
        hub.start()
        publisher.finish()
    expect(page.locator(EVENTS)).to_have_text(numbers(150), timeout=20_000)
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#resume")).to_have_text("resumed, nothing lost")
    expect(page.locator("#tape .gap")).to_have_count(0)
    expect(page.locator("#tape .note")).to_have_count(1)


def test_a_restart_in_good_order_is_not_seen_either(page: Page, hub: ServerProcess) -> None:
    watch(page, hub, "count")
    with Publisher(hub, "count", count=100) as publisher:
        expect(page.locator(EVENTS).first).to_have_text("1")
        assert hub.terminate() == 0
        hub.start()
        publisher.finish()
    expect(page.locator(EVENTS)).to_have_text(numbers(100), timeout=20_000)
    expect(page.locator("#tape .gap")).to_have_count(0)


def test_another_log_is_told_as_a_reset(page: Page, tmp_path: Path) -> None:
    with running_hub(tmp_path, log="memory://") as hub:
        watch(page, hub, "short")
        publish(hub, "short", "of the first log")
        expect(page.locator(EVENTS)).to_have_text(["of the first log"])
        hub.kill()
        hub.start()
        publish(hub, "short", "of the second")
        expect(page.locator(EVENTS)).to_have_text(["of the first log", "of the second"], timeout=20_000)
        expect(page.locator("#tape .gap .text")).to_contain_text("another log")
        expect(page.locator("#resume")).to_contain_text("reset")


def test_a_hidden_page_gives_its_connection_back_and_goes_on_later(page: Page, hub: ServerProcess) -> None:
    page.clock.install()
    watch(page, hub, "away")
    publish(hub, "away", "1")
    expect(page.locator(EVENTS)).to_have_text(["1"])
    rest(page)
    publish(hub, "away", "2")
    set_visibility(page, "visible")
    expect(page.locator(EVENTS)).to_have_text(["1", "2"])
    expect(page.locator("#resume")).to_have_text("resumed, nothing lost")


def test_a_page_opened_in_the_background_gives_its_connection_back_too(page: Page, hub: ServerProcess) -> None:
    page.clock.install()
    page.add_init_script("Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })")
    watch(page, hub, "behind")
    page.clock.fast_forward(21_000)
    expect(page.locator("#connection")).to_have_text("Paused")
    set_visibility(page, "visible")
    expect(page.locator("#connection")).to_have_text("Live")


def test_what_is_no_longer_kept_is_told_as_a_gap(page: Page, tmp_path: Path) -> None:
    with running_hub(tmp_path, log=f"sqlite:///{tmp_path / 'small.db'}?max_bytes=20000") as hub:
        page.clock.install()
        watch(page, hub, "short")
        publish(hub, "short", "seen")
        expect(page.locator(EVENTS)).to_have_text(["seen"])
        set_visibility(page, "hidden")
        page.clock.fast_forward(21_000)
        expect(page.locator("#connection")).to_have_text("Paused")
        publish(hub, "short", "never seen")
        hub.kill()  # what is still in memory would be given from there
        hub.start()
        for _ in range(60):
            publish(hub, "filler", "x" * 1000)
        publish(hub, "short", "seen again")
        set_visibility(page, "visible")
        expect(page.locator(EVENTS)).to_have_text(["seen", "seen again"])
        expect(page.locator("#tape .gap .text")).to_contain_text("no longer kept")
        expect(page.locator("#resume")).to_have_text("gap, some events are lost")
        kinds = page.locator("#tape li").evaluate_all("(rows) => rows.map((row) => row.className)")
        assert kinds == ["event", "gap", "event"]


def test_whoever_looks_again_need_not_wait_for_an_attempt_that_hangs(page: Page, hub: ServerProcess) -> None:
    page.clock.install()
    watch(page, hub, "stuck")
    hub.kill()
    with socket.create_server(("127.0.0.1", hub.port)) as silent:
        silent.settimeout(20)
        attempt, _ = silent.accept()
    with attempt:  # it has no answer, and no end
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)  # from here on no wait of the page ends
        hub.start()
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator("#connection")).to_have_text("Live")


def test_kept_events_that_are_refused_for_a_while_are_asked_for_again(page: Page, tmp_path: Path) -> None:
    client = {"X-Forwarded-For": "198.51.100.7"}  # no address of loopback is counted
    env = {"ECHOSTREAM_PROXIES__TRUSTED": "127.0.0.1", "ECHOSTREAM_LIMITS__CONNECTIONS_PER_ADDRESS": "2"}
    with running_hub(tmp_path, env=env) as hub:
        page.set_extra_http_headers(client)
        watch(page, hub)
        expect(page.locator("#chosen")).to_have_text("hub/machine")
        request = urllib.request.Request(f"{hub.url}/topics/other", headers=client)
        with urllib.request.urlopen(request, timeout=10):
            with page.expect_response("**/topics/short?live=false*") as answer:
                page.evaluate("location.hash = '#/short'")
            assert answer.value.status == 429
        expect(page.locator("#tape-empty")).to_be_visible()


def rest(page: Page) -> None:
    """Hide the page for so long that it gives its connection back. Its clock is the test's."""
    set_visibility(page, "hidden")
    page.clock.fast_forward(21_000)
    expect(page.locator("#connection")).to_have_text("Paused")


def set_visibility(page: Page, state: str) -> None:
    page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )
