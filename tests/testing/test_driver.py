"""drive: what a client can do, and what it is told, against small raw applications."""

# ruff: noqa: PT012 - that leaving `async with drive(...)` raises is what is tested

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from echostream.testing import NotInTime, ResponseCut, Violation, drive
from support.asgi_apps import ENDLESS_CHUNK, body, echo, endless, sending, start, wait_for_disconnect
from support.settle import until

SSE = (b"content-type", b"text/event-stream; charset=utf-8")
NDJSON = (b"content-type", b"application/x-ndjson")


# -- reading


async def test_a_whole_response() -> None:
    app = sending(
        start(201, (b"a", b"1"), (b"set-cookie", b"x"), (b"set-cookie", b"y")), body(b"he", more=True), body(b"llo")
    )
    async with drive(app) as response:
        status, headers = await response.head()
        assert status == 201
        assert headers == {"a": "1", "set-cookie": "x, y"}
        assert await response.read() == b"hello"
        assert await response.read() == b""
        assert await response.ended() == "complete"
        assert response.complete
        assert response.body == b"hello"
        assert response.exception is None


async def test_reading_by_size_by_end_and_by_chunk_never_goes_further_than_asked() -> None:
    chunks = [b"one\ntwo\nthr", b"", b"ee\n", b"four"]
    app = sending(start(), *(body(chunk, more=True) for chunk in chunks), body())
    async with drive(app) as response:
        assert await response.read(2) == b"on"
        assert await response.read_until(b"two\n") == b"e\ntwo\n"
        assert response.body == b"one\ntwo\n"
        assert await response.read_until(b"ree") == b"three"
        assert [chunk async for chunk in response] == [b"\n", b"four"]
        assert await response.read(100) == b""


async def test_what_is_looked_for_may_be_cut_anywhere() -> None:
    app = sending(start(), *(body(bytes([byte]), more=True) for byte in b"abcabdx"), body())
    async with drive(app) as response:
        assert await response.read_until(b"abd") == b"abcabd"
        assert await response.read() == b"x"


async def test_events_are_decoded_one_by_one() -> None:
    text = "event: a\nid: 1\ndata: ü\n\ndata: two\n\n: heartbeat\n\ndata: three\r\n\r\n".encode()
    app = sending(start(200, SSE), body(text[:18], more=True), body(text[18:]))
    async with drive(app) as response:
        (first,) = await response.events(1)
        assert first == ("a", "ü", "1")
        assert await response.read_until(b"\n\n") == b"data: two\n\n"  # nothing was decoded ahead
        assert [event.data for event in await response.events()] == ["three"]


async def test_lines_are_decoded_one_by_one() -> None:
    app = sending(start(200, NDJSON), body(b'{"a":1}\n\n[2', more=True), body(b"]\r\n3"))
    async with drive(app) as response:
        assert await response.lines(1) == [{"a": 1}]
        assert await response.lines() == [[2], 3]


async def test_what_is_no_stream_of_events_is_not_decoded() -> None:
    async with drive(sending(start(200, (b"content-type", b"text/html")), body(b"data: x\n\n"))) as response:
        with pytest.raises(ResponseCut, match="content-type is text/html, not text/event-stream"):
            await response.events(1)
        with pytest.raises(ResponseCut, match="not application/x-ndjson"):
            await response.lines(1)


async def test_an_endless_response_is_read_as_far_as_wanted() -> None:
    async with drive(endless, high_mark=10_000) as response:
        assert len(await response.read(12_345)) == 12_345
        await until(lambda: response.waiting > 10_000)
        await asyncio.sleep(0.01)
        assert response.waiting <= 10_000 + len(ENDLESS_CHUNK)


async def test_reading_all_of_an_endless_response_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echostream.testing.reading.MOST", 100_000)
    async with drive(endless) as response:
        for reading in (response.read, response.ended, lambda: response.read_until(b"y")):
            with pytest.raises(NotInTime, match="endless"):
                await reading()


async def test_head_has_no_body() -> None:
    async with drive(sending(start(200, (b"content-length", b"3")), body(b"abc")), "HEAD") as response:
        assert (await response.head()).status == 200
        assert await response.read() == b""


# -- the request


async def test_the_scope() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await sending(start(), body())(scope, receive, send)

    headers = [("X-A", "1"), (b"x-a", b"\xff")]
    options: dict[str, Any] = {"http_version": "2", "extensions": {"tls": {}}, "scope": {"state": {"a": 1}}}
    async with drive(app, "POST", "/a%20b/%C3%BC?q=%31", headers=headers, body=b"12345", **options):
        pass
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/a b/ü", b"/a%20b/%C3%BC")
    assert (seen["query_string"], seen["http_version"]) == (b"q=%31", "2")
    lines = [(b"host", b"testserver"), (b"x-a", b"1"), (b"x-a", b"\xff"), (b"content-length", b"5")]
    assert seen["headers"] == lines
    assert (seen["extensions"], seen["state"]) == ({"tls": {}}, {"a": 1})
    assert seen["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    async with drive(app, headers={"Host": "other"}, after_disconnect="ignore"):
        pass
    assert seen["headers"] == [(b"host", b"other")]
    assert seen["asgi"]["spec_version"] == "2.3"


@pytest.mark.parametrize("pieces", [b"abc", [b"a", b"b", b"c"], [b"abc"], (b"ab", b"", b"c")])
async def test_a_request_body_in_pieces(pieces: Any) -> None:
    async with drive(echo, "POST", body=pieces) as response:
        wanted = [pieces] if isinstance(pieces, bytes) else [piece for piece in pieces if piece]
        assert [chunk async for chunk in response] == wanted


async def test_an_empty_request_body_is_one_empty_piece() -> None:
    async with drive(echo, "POST", body=[]) as response:
        assert await response.read() == b""
        assert response.complete


async def test_a_request_body_that_comes_when_the_test_says() -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b"second"

    async with drive(echo, "POST", body=pieces()) as response:
        assert await response.read(5) == b"first"
        assert not response.waiting
        more.set()
        assert await response.read() == b"second"
        assert await response.ended() == "complete"


async def test_a_request_body_that_fails_fails_the_test() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        async with drive(echo, "POST", body=pieces()) as response:
            await response.read()


# -- slow, stalled and vanishing clients


async def test_send_blocks_over_the_high_mark_until_the_client_reads() -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        for number in range(10):
            await send(body(b"x" * 100, more=True))
            sent.append(number)
        await send(body())

    async with drive(app, high_mark=250) as response:
        await until(lambda: response.waiting == 300)
        await asyncio.sleep(0.01)
        assert sent == [0, 1]
        await response.read(120)
        await until(lambda: response.waiting == 280)
        assert sent == [0, 1, 2]
        assert len(await response.read()) == 880
        assert await response.ended() == "complete"


async def test_a_stalled_client_takes_nothing_and_a_resumed_one_goes_on() -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        for number in range(3):
            await send(body(b"x", more=True))
            sent.append(number)
        await send(body())

    async with drive(app) as response:
        response.stall()
        await until(lambda: response.waiting == 1)
        await asyncio.sleep(0.01)
        assert sent == []
        with pytest.raises(ResponseCut, match="stalled"):
            await response.read(1)
        with pytest.raises(NotInTime, match="the application's end"):
            await response.ended(within=0.01)
        response.resume()
        assert await response.read() == b"xxx"


async def test_a_client_that_takes_so_much_and_then_stalls() -> None:
    async with drive(endless) as response:
        response.stall(after=1500)
        assert len(await response.read(1200)) == 1200
        with pytest.raises(ResponseCut, match="stalled"):
            await response.read(301)
        assert len(response.body) == 1500
        await until(lambda: response.waiting == 500)
        response.resume()
        assert len(await response.read(5000)) == 5000


async def test_a_vanishing_client_is_told_by_receive() -> None:
    freed: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await wait_for_disconnect(receive)
        freed.append(True)

    async with drive(app) as response:
        await response.head()
        response.disconnect()
        assert await response.ended() == "gone"
        assert freed == [True]
        with pytest.raises(ResponseCut, match="has left"):
            await response.read(1)


@pytest.mark.parametrize("blocked", [True, False])
async def test_send_raises_once_the_client_has_left(blocked: bool) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x" * 100, more=True))
                seen.append("sent")
        except OSError:
            seen.append("raised")

    async with drive(app, high_mark=0 if blocked else 10**9) as response:
        await until(lambda: response.waiting)
        response.disconnect()
        left = len(seen)
        assert await response.ended() == "gone"
    # A send that was not blocked was taken before: it returns, and the next one raises.
    assert seen[left:] == (["raised"] if blocked else ["sent", "raised"])


async def test_send_is_ignored_once_the_client_has_left_when_the_server_is_older() -> None:
    sent: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"blocked", more=True))
        for word in ("these", "are", "lost"):
            await send(body(word.encode(), more=True))
            sent.append(word)

    async with drive(app, high_mark=0, after_disconnect="ignore") as response:
        await until(lambda: response.waiting)
        response.disconnect()
        assert await response.ended() == "gone"
    assert sent == ["these", "are", "lost"]


async def test_a_response_that_is_complete_tells_receive_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(start(), body(b"x"))(scope, receive, send)
        await wait_for_disconnect(receive)

    async with drive(app) as response:
        assert await response.ended() == "complete"


async def test_more_after_the_end_is_wrong_also_when_the_client_has_left() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(start(), body(b"x"))(scope, receive, send)
        await wait_for_disconnect(receive)
        await send(body(b"more"))

    with pytest.raises(Violation, match="after the response's end"):
        async with drive(app) as response:
            await response.read()


async def test_leaving_the_block_is_the_client_leaving() -> None:
    async with drive(endless) as response:
        await response.read(1)
    assert isinstance(response.exception, OSError)


# -- how it ends


async def failing(scope: Any, receive: Any, send: Any) -> None:
    await send(start())
    await send(body(b"half", more=True))
    raise ValueError("in the middle")


async def test_an_application_that_raises_is_an_aborted_response() -> None:
    async with drive(failing) as response:
        assert await response.read(4) == b"half"
        assert await response.ended() == "aborted"
        assert not response.complete
        assert isinstance(response.exception, ValueError)


async def test_a_cut_body_is_never_taken_for_a_whole_one() -> None:
    async with drive(failing) as response:
        with pytest.raises(ResponseCut, match=r"before the body's end; 4 bytes were read.*half.*ValueError") as cut:
            await response.read()
        assert isinstance(cut.value.__cause__, ValueError)
    async with drive(failing) as response:
        with pytest.raises(ResponseCut):
            assert [chunk async for chunk in response] == []
    async with drive(failing) as response:
        with pytest.raises(ResponseCut, match="before b'whole'"):
            await response.read_until(b"whole")


async def test_what_the_application_raised_fails_a_test_that_has_not_asked() -> None:
    with pytest.raises(ValueError, match="in the middle"):
        async with drive(failing) as response:
            await response.read(4)
            await until(lambda: not response.waiting)


async def test_an_error_after_the_proper_end_fails_the_test_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(start(), body())(scope, receive, send)
        raise ValueError("afterwards")

    with pytest.raises(ValueError, match="afterwards"):
        async with drive(app) as response:
            assert await response.ended() == "complete"


async def test_an_error_of_cleaning_up_fails_the_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await endless(scope, receive, send)
        finally:
            raise KeyError("closing failed")

    with pytest.raises(KeyError, match="closing failed"):
        async with drive(app) as response:
            await response.read(1)


async def test_so_does_one_after_the_client_vanished() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await wait_for_disconnect(receive)
        raise KeyError("closing failed")

    with pytest.raises(KeyError, match="closing failed"):
        async with drive(app) as response:
            await response.head()
            response.disconnect()
            assert await response.ended() == "gone"


async def test_an_application_that_cancels_itself_does_not_cancel_the_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        raise asyncio.CancelledError

    with pytest.raises(ResponseCut, match=r"before its proper end.*CancelledError"):
        async with drive(app) as response:
            await response.head()
            await asyncio.sleep(0.001)


async def test_an_error_that_comes_of_the_lost_client_does_not() -> None:
    class Lost(Exception):
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await endless(scope, receive, send)
        except OSError as error:
            raise Lost from error

    async with drive(app) as response:
        await response.read(1)
    assert isinstance(response.exception, Lost)


async def test_nor_does_the_client_disconnect_of_starlette() -> None:
    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick"

    async with drive(StreamingResponse(ticks())) as response:
        assert await response.read(8) == b"ticktick"
    assert isinstance(response.exception, ClientDisconnect)


@pytest.mark.parametrize("messages", [(), (start(),), (start(), body(b"x", more=True))])
async def test_an_application_that_returns_early(messages: tuple[Any, ...]) -> None:
    async with drive(sending(*messages)) as response:
        assert await response.ended() == "aborted"
    with pytest.raises(ResponseCut, match=r"before its proper end.*has returned"):
        async with drive(sending(*messages)) as response:
            await asyncio.sleep(0.01)


async def test_no_head_at_all() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("before the head")

    async with drive(app) as response:
        with pytest.raises(ResponseCut, match=r"before the head.*before the head") as cut:
            await response.head()
        assert isinstance(cut.value.__cause__, ValueError)


async def test_a_wait_fails_after_its_time_and_says_what_for() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, SSE))
        await send(body(b"data: one\n\n", more=True))
        await wait_for_disconnect(receive)

    async with drive(silent, within=0.01) as response:
        with pytest.raises(
            NotInTime, match=r"3 events \(so far 1\); 11 bytes were read, the last b'data: one.*waits at"
        ):
            await response.events(3)
        with pytest.raises(NotInTime, match="b'two'"):
            await response.read_until(b"two")
        with pytest.raises(NotInTime, match="a chunk"):
            await anext(response)
    async with drive(lambda _s, receive, _send: wait_for_disconnect(receive), within=0.01) as response:
        with pytest.raises(NotInTime, match="not in time: the head; no body was read"):
            await response.head()


async def test_an_application_that_does_not_end_fails_the_test_and_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    with pytest.raises(NotInTime, match=r"did not end within 0.01 s of the client's leaving.*Event.wait"):
        async with drive(app, within=0.01):
            pass
    assert cancelled == [True]


async def test_a_failure_of_the_test_is_told_with_the_applications_own() -> None:
    with pytest.raises(RuntimeError, match="of the test") as failure:
        async with drive(failing) as response:
            await response.read(4)
            await until(lambda: not response.waiting)
            raise RuntimeError("of the test")
    assert "ValueError('in the middle')" in failure.value.__notes__[0]


async def test_nothing_is_left_running() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with drive(echo, body=pieces()) as response:
        assert await response.read(1) == b"a"
    await until(lambda: asyncio.all_tasks() == before)


# -- the protocol


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        (["start"], "a message is a dict, not str"),
        ([{"status": 200}], "type is a str, not missing"),
        ([{"type": "http.response.begin"}], "knows no message 'http.response.begin'"),
        ([body(b"x")], r"http.response.body where its head is to come"),
        ([start(), start()], "http.response.start where its body is to come"),
        ([start(), body(), body()], "http.response.body after the response's end"),
        ([start(), body(b"x"), start()], "http.response.start after the response's end"),
        ([start("200")], "status is an int, not str"),  # type: ignore[arg-type]
        ([start(True)], "status is an int, not bool"),
        ([start(100)], "status is 200 to 599, not 100"),
        ([{"type": "http.response.start"}], "status is an int, not missing"),
        ([start(headers={b"a": b"b"})], "headers are pairs of bytes, not dict"),
        ([start(200, ("a", "b"))], "headers are pairs of bytes, and this is none"),  # type: ignore[arg-type]
        ([start(200, (b"a", "b"))], "headers are pairs of bytes"),  # type: ignore[arg-type]
        ([start(200, (b"a",))], "headers are pairs of bytes"),  # type: ignore[arg-type]
        ([start(200, (b"Content-Type", b"b"))], "b'Content-Type' is not in lower case"),
        ([start(200, (b"a b", b"b"))], "b'a b' is no field name"),
        ([start(200, (b"", b"b"))], "b'' is no field name"),
        ([start(200, (b"a", b"b\r\nc: d"))], "has CR, LF or NUL"),
        ([start(200, (b"content-length", b"+1"))], "content-length is a number of digits"),
        ([start(200, (b"content-length", b"1"), (b"content-length", b"2"))], "with different values"),
        ([start(200, (b"content-length", b"1")), body(b"ab")], "content-length says 1 bytes, and 2 were sent"),
        ([start(200, (b"content-length", b"2")), body(b"a")], "the body ended after 1"),
        ([start(), body("text")], "body is bytes, not str"),
        ([start(), body(bytearray(b"x"))], "body is bytes, not bytearray"),
        ([start(), body(b"x", more=1)], "more_body is a bool, not int"),
        ([start(204), body(b"x")], "status 204 has no body"),
        ([start(trailers=True)], "did not offer http.response.trailers"),
    ],
)
@pytest.mark.parametrize("swallows", [False, True])
async def test_what_breaks_the_protocol_fails_the_test(messages: list[Any], wrong: str, swallows: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await sending(*messages)(scope, receive, send)
        except AssertionError:
            if not swallows:
                raise

    with pytest.raises(Violation, match=wrong):
        async with drive(app) as response:
            await asyncio.sleep(0.001)
            await response.ended()
    with pytest.raises(Violation, match=wrong):  # also when the test does not look
        async with drive(app) as response:
            await asyncio.sleep(0.005)


async def test_connection_fields_are_malformed_in_http_2() -> None:
    app = sending(start(200, (b"connection", b"close")), body())
    async with drive(app) as response:
        assert await response.ended() == "complete"
    with pytest.raises(Violation, match=r"malformed in HTTP/2"):
        async with drive(app, http_version="2") as response:
            await response.ended()


async def test_a_task_that_outlives_its_application_may_send_nothing() -> None:
    errors: list[BaseException | None] = []
    tasks: list[asyncio.Task[None]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"x", more=True))
        tasks.append(asyncio.create_task(late(send)))

    async def late(send: Any) -> None:
        await asyncio.sleep(0.001)
        try:
            await send(body(b"late"))
        except Violation as error:
            errors.append(error)

    with pytest.raises(Violation, match="after the application had returned"):
        async with drive(app) as response:
            await until(lambda: tasks and tasks[0].done())
            await response.ended()
    assert len(errors) == 1


async def test_trailers_and_other_extensions() -> None:
    trailer = {"type": "http.response.trailers", "headers": [(b"digest", b"1")]}
    hint = {"type": "http.response.early_hint", "links": [b"</a>"]}
    app = sending(hint, start(trailers=True), body(b"x"), trailer)
    offered: dict[str, Any] = {"http.response.trailers": {}, "http.response.early_hint": {}}
    async with drive(app, extensions=offered) as response:
        assert await response.read() == b"x"
        assert await response.ended() == "complete"
        assert response.others == [hint, trailer]
    with pytest.raises(Violation, match="where its body is to come"):
        async with drive(sending(start(), hint), extensions=offered) as response:
            await response.ended()
    with pytest.raises(ResponseCut):  # announced, and never sent
        async with drive(sending(start(trailers=True), body(b"x")), extensions=offered) as response:
            await response.read()


def test_an_extension_that_cannot_be_played_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pathsend"):
        drive(echo, extensions={"http.response.pathsend": {}})
