"""publish and subscribe against a real hub: down, killed, finished, piped."""

from __future__ import annotations

import http.client
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from echostream.event import Event
from echostream.wire import NDJSON, StreamEnd
from support.command import command, environment, run_command
from support.scripted import CUT, problem, receipt, scripted, sse
from support.servers import ServerProcess, free_port, running_hub, wait_until


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    with running_hub(tmp_path_factory.mktemp("hub"), log="memory://") as server:
        yield server


@contextmanager
def started(*words: str, url: str, **settings: int) -> Generator[subprocess.Popen[str]]:
    """A command that runs while the test goes on."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    process = subprocess.Popen(command(*words), env=environment(url), text=True, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()


def kept(hub: ServerProcess, topic: str) -> list[dict[str, object]]:
    """Everything that the hub keeps of a topic, read without our own client."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    try:
        connection.request("GET", f"/topics/{topic}?since=earliest&format=json")
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else []
    finally:
        connection.close()


def test_one_event(hub: ServerProcess) -> None:
    done = run_command("publish", "one", '{"n": 1.00}', "--event", "e", "--key", "k", "--json", url=hub.url)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["topic"], told["durability"]) == ("one", "memory")
    run_command("publish", "one", '{"n": 1.00}', "--text", url=hub.url)
    first, second = kept(hub, "one")
    assert (first["id"], first["event"], first["key"], first["data"]) == (told["ids"][0], "e", "k", {"n": 1.0})
    assert second["data"] == '{"n": 1.00}'


def test_a_pipe_and_its_end(hub: ServerProcess) -> None:
    lines = [f"line {number}" for number in range(3000)]
    done = run_command("publish", "piped", "-", "--end", "--json", url=hub.url, input="\n".join(lines))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) < 20  # batches, and the end
    read = run_command("subscribe", "piped", "--since", "earliest", url=hub.url)
    assert (read.returncode, read.stdout.splitlines()) == (0, lines)  # finished: it ended by itself
    again = run_command("publish", "piped", "more", url=hub.url)
    assert (again.returncode, again.stdout) == (1, "")
    assert "finished" in again.stderr
    assert again.stderr.count("\n") == 1


def test_a_slow_pipe_is_published_as_it_is_written(hub: ServerProcess) -> None:
    with started("publish", "slow", url=hub.url) as process:
        assert process.stdin is not None
        for number in range(3):
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            wait_until(lambda number=number: len(kept(hub, "slow")) > number, within=10, what="published")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        # The hub has the third before the command has read the answer to it.
        assert process.stderr.read() in (
            "echostream: stopped; 3 events were published to slow\n",
            "echostream: stopped; 2 events were published to slow, and 1 more may have been\n",
        )


def test_stopping_while_the_hub_is_away_says_what_is_not_known() -> None:
    with scripted(receipt("k.1"), CUT) as server, started("publish", "t", url=server.url) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdin.write("a\n")
            process.stdin.flush()
            wait_until(lambda: server.requests, within=10, what="the first is published")
        assert "trying again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == ("echostream: stopped; 1 event was published to t, and 1 more may have been\n")


def test_on_a_terminal_it_counts_and_no_event_drives_it(hub: ServerProcess) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.run(
            command("publish", "shown", "--text"), env=environment(hub.url, TERM="xterm"), input=b"\x1b]0;owned\x07\n",
            stdout=subprocess.PIPE, stderr=theirs, timeout=30, check=False,
        )  # fmt: skip
        assert (process.returncode, process.stdout) == (0, b"")
        assert b"1 event was published to shown" in os.read(ours, 65536)
        reader = subprocess.run(
            command("subscribe", "shown", "--since", "earliest", "-n", "1"), env=environment(hub.url),
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, timeout=30, check=False,
        )  # fmt: skip
        assert (reader.returncode, reader.stderr) == (0, b"")
        assert os.read(ours, 65536) == b"\\x1b]0;owned\\x07\r\n"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_bad_line_stops_the_pipe_after_what_was_good(hub: ServerProcess) -> None:
    done = run_command("publish", "bad", url=hub.url, input=b"a\nb\n\xff\nc\n", encoding=None)
    assert done.returncode == 2
    assert b"line 3: is not UTF-8" in done.stderr
    assert b"2 events were published to bad before" in done.stderr
    assert [event["data"] for event in kept(hub, "bad")] == ["a", "b"]


def test_ephemeral_events_are_told_and_not_kept(hub: ServerProcess) -> None:
    with started("subscribe", "brief", "--count", "1", url=hub.url) as reader:
        # Not kept, so told again until the reader, whose start we cannot see, is there.
        def told() -> bool:
            run_command("publish", "brief", "now", "--ephemeral", url=hub.url)
            return reader.poll() is not None

        wait_until(told, within=20, what="the reader heard it")
        assert reader.stdout is not None
        assert reader.stdout.read() == "now\n"
    assert kept(hub, "brief") == []


def test_subscribe_from_everywhere(hub: ServerProcess) -> None:
    for number in range(4):
        run_command("publish", f"many/{number % 2}", f"e{number}", url=hub.url)
    several = run_command("subscribe", "many/*", "--since", "-3", "-n", "3", url=hub.url)
    assert several.stdout == "many/1\te1\nmany/0\te2\nmany/1\te3\n"
    envelopes = run_command("subscribe", "many/0", "--since", "earliest", "-n", "2", "--json", url=hub.url).stdout
    first = json.loads(envelopes.splitlines()[0])
    assert list(first) == ["id", "topic", "event", "data", "time", "key"]
    after = run_command("subscribe", "many/0", "--last-event-id", first["id"], "-n", "1", url=hub.url)
    assert (after.returncode, after.stdout, after.stderr) == (0, "e2\n", "")
    foreign = run_command("subscribe", "many/0", "--last-event-id", "other.7", "-n", "1", url=hub.url)
    assert foreign.stdout == "e0\n"
    assert "gap: events after other.7 are lost (reset)" in foreign.stderr


def test_a_refused_subscription(hub: ServerProcess) -> None:
    done = run_command("subscribe", "a", "--since", "nonsense", url=hub.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nonsense" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_is_no_error(hub: ServerProcess) -> None:
    run_command("publish", "headed", url=hub.url, input="\n".join(map(str, range(2000))))
    line = " ".join(command("subscribe", "headed", "--since", "earliest")) + " | head -1; exit ${PIPESTATUS[0]}"
    done = subprocess.run(
        ["bash", "-c", line], env=environment(hub.url), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_a_hub_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    reading = started("subscribe", "early", "-n", "1", url=url)
    with started("publish", "early", "hello", url=url) as writer, reading as reader:
        assert writer.stderr is not None
        assert reader.stderr is not None
        assert "trying again until it works" in writer.stderr.readline()
        assert "coming back until it works" in reader.stderr.readline()
        with running_hub(tmp_path, port=port) as hub:
            assert writer.wait(30) == 0
            assert writer.stderr.readline() == f"echostream: {url} is back; going on\n"
            assert [event["data"] for event in kept(hub, "early")] == ["hello"]


def test_nothing_is_lost_or_doubled_when_the_hub_is_killed_under_a_pipe(tmp_path: Path) -> None:
    total = 12_000
    with running_hub(tmp_path) as hub, started("publish", "killed", url=hub.url) as writer:
        with started("subscribe", "killed", "--since", "earliest", "--count", str(total), url=hub.url) as reader:
            assert writer.stdin is not None
            for number in range(total):
                writer.stdin.write(f"{number}\n")
                if number in (3000, 8000):
                    writer.stdin.flush()
                    wait_until(lambda: kept(hub, "killed"), within=10, what="the first are published")
                    hub.kill()
                    hub.start()
            writer.stdin.close()
            assert writer.wait(30) == 0
            expected = list(range(total))
            assert [event["data"] for event in kept(hub, "killed")] == expected
            assert reader.stdout is not None
            assert [int(line) for line in reader.stdout] == expected
            assert reader.wait(10) == 0


def test_a_stream_that_ends_to_be_resumed_is_not_worth_a_word() -> None:
    ended = NDJSON.control(StreamEnd(reason="deadline"), id="k.1", retry=0)
    events = [NDJSON.event(Event(data=f"e{number}", id=f"k.{number}", topic="t")) for number in (1, 2)]
    answers = [sse(body, media_type=NDJSON.media_type) for body in (events[0] + ended, events[1])]
    with scripted(*answers) as server:
        done = run_command("subscribe", "t", "-n", "2", url=server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "e1\ne2\n", "")
    assert server.requests[1].headers["last-event-id"] == "k.1"


def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    started_at = time.monotonic()
    with scripted(CUT, receipt("k.1")) as server:
        done = run_command("publish", "t", "x", "--json", url=server.url)
    assert (done.returncode, json.loads(done.stdout)["ids"]) == (0, ["k.1"])
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert len(server.requests) == 2
    assert done.stderr.count("\n") == 2  # away, and back
    assert time.monotonic() - started_at < 20


def test_what_a_server_says_does_not_drive_the_terminal() -> None:
    with scripted(problem("400 Bad Request", "x", "\\u001b]0;owned\\u0007")) as server:
        done = run_command("publish", "t", "x", url=server.url)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert "\\x1b]0;owned" in done.stderr
