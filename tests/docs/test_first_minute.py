"""The first minute of the README and of the tutorial, and the publishing commands, run as printed against the real hub.

The port, the ids of the log and the path of the command are the test's; everything else is the page's text.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.servers import ServerProcess, running_hub, wait_until

ROOT = Path(__file__).resolve().parents[2]
PUBLISHING = "docs/how-to/publish-from-anything.md"
CLIENT = "docs/how-to/from-python.md"
PRINTED_EPOCH = "k3v9x0q2ab"


def commands(page: str) -> list[str]:
    """Every command in the page's console blocks, each on one line."""
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


class Terminal:
    """Runs commands of a page in bash, in a folder of its own, against the test's hub."""

    def __init__(self, hub: ServerProcess, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.epoch = PRINTED_EPOCH
        # curl's exit code tells of an HTTP error then.
        (folder / ".curlrc").write_text("fail\nsilent\n")

    def here(self, command: str) -> str:
        echostream = f"{shlex.quote(sys.executable)} -m echostream"
        changed = command.replace(".venv/bin/echostream", echostream).replace(PRINTED_EPOCH, self.epoch)
        return changed.replace("127.0.0.1:8800", f"127.0.0.1:{self.hub.port}")

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "CURL_HOME": str(self.folder),
            "ECHOSTREAM_URL": self.hub.url,
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self.here(command)],
            capture_output=True,
            cwd=self.folder,
            env=self.env,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def left_running(self, command: str) -> Iterator[Path]:
        """The command in a terminal of its own; yields the file that its output goes to."""
        output = self.folder / f"terminal-{len(list(self.folder.iterdir()))}.out"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                ["bash", "-c", self.here(command)],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield output
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def shows(output: Path, text: str) -> None:
    wait_until(lambda: text in output.read_text(), within=10, what=f"{text!r} in {output.name}")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "hub"
    folder.mkdir()
    with running_hub(folder) as server:
        yield server


@pytest.fixture
def terminal(hub: ServerProcess, tmp_path: Path) -> Terminal:
    folder = tmp_path / "terminal"
    folder.mkdir()
    return Terminal(hub, folder)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-minute.md"])
def test_the_first_minute(page: str, terminal: Terminal) -> None:
    follow, publish, publish_again, come_back, pipe, subscribe = (c for c in commands(page) if c != "make run")

    with terminal.left_running(follow) as reader:
        shows(reader, "event: stream-open")
        answer = json.loads(terminal.run(publish))
        terminal.epoch = answer["id"].split(".")[0]
        assert answer == {"id": f"{terminal.epoch}.1", "topic": "hello", "durability": "full"}
        shows(reader, f"id: {terminal.epoch}.1\ndata: hi\n\n")

    assert json.loads(terminal.run(publish_again))["id"] == f"{terminal.epoch}.2"
    missed = f"id: {terminal.epoch}.2\ndata: did I miss this?\n\n"
    with terminal.left_running(come_back) as reader:
        shows(reader, missed)
        assert "data: hi\n" not in reader.read_text()

    terminal.hub.kill()
    terminal.hub.start()
    with terminal.left_running(come_back) as reader:
        shows(reader, '"resume":"resumed"')
        shows(reader, missed)
        assert "data: hi\n" not in reader.read_text()

    check_pipe(terminal, pipe, subscribe)


def check_pipe(terminal: Terminal, pipe: str, subscribe: str) -> None:
    written = terminal.folder / "some.log"
    written.write_text("")
    with terminal.left_running(subscribe) as reader, terminal.left_running(pipe) as publisher:
        lines = 0

        def seen() -> bool:
            # Either end may still be starting, and what was written before a reader came is not shown to it.
            nonlocal lines
            lines += 1
            with written.open("a") as log:
                log.write(f"line {lines} of the log\n")
            return "of the log" in reader.read_text()

        wait_until(seen, within=15, what=f"a line of the log arrives; the publisher said {publisher.read_text()!r}")


def test_the_python_clients_work(terminal: Terminal) -> None:
    publish, follow = re.findall(r"^```python\n(.*?)^```", (ROOT / CLIENT).read_text(), re.DOTALL | re.MULTILINE)
    python = shlex.quote(sys.executable)
    (terminal.folder / "publish.py").write_text(terminal.here(publish))
    (terminal.folder / "follow.py").write_text(terminal.here(follow))
    published, durability = terminal.run(f"{python} publish.py").split()
    assert durability == "full"
    # The loop of the page goes on for ever; a finished topic lets it end.
    terminal.run("curl -X POST 'http://127.0.0.1:8800/topics/orders/42?end=1'")
    assert terminal.run(f"{python} follow.py") == f'{published} paid {{"state":"paid"}}\n'


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-minute.md"])
def test_the_printed_answers_have_the_real_form(page: str, terminal: Terminal) -> None:
    text = (ROOT / page).read_text()
    printed = [json.loads(line) for line in re.findall(r"^\{\"id\".*\}$", text, re.MULTILINE)]
    real = json.loads(terminal.run(next(c for c in commands(page) if c.startswith("curl -d"))))
    assert printed
    assert all(list(one) == list(real) for one in printed)


def test_publishing_commands_work(terminal: Terminal) -> None:
    (terminal.folder / "report.txt").write_text("one\ntwo\n")
    answers = [terminal.run(command) for command in commands(PUBLISHING) if ".venv" not in command]
    assert len(answers) >= 7
    kept = [json.loads(answer) for answer in answers]
    assert [one["topic"] for one in kept if one["durability"] == "none"] == ["board/cursor"]
    assert len(next(one["ids"] for one in kept if "ids" in one)) == 2
    reports = json.loads(terminal.run("curl 'http://127.0.0.1:8800/topics/reports?format=json'"))
    assert reports[0]["data"] == "one\ntwo\n"


def test_the_python_of_publishing_works(terminal: Terminal) -> None:
    [sample] = re.findall(r"^```python\n(.*?)^```", (ROOT / PUBLISHING).read_text(), re.DOTALL | re.MULTILINE)
    (terminal.folder / "sample.py").write_text(terminal.here(sample))
    printed = terminal.run(f"{shlex.quote(sys.executable)} sample.py")
    assert "'topic': 'sensors/kitchen'" in printed
