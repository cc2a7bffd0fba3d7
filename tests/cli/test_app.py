"""The command line's own manners: help, versions, one line for each mistake, exit codes."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from echostream.cli.say import visible
from support.command import environment, run_command


def test_version() -> None:
    done = run_command("--version")
    assert (done.returncode, done.stdout) == (0, f"echostream {version('echostream')}\n")


@pytest.mark.parametrize("words", [("--help",), ("serve", "--help"), ("publish", "-h"), ("subscribe", "--help")])
def test_help_has_examples_that_name_real_options(words: tuple[str, ...]) -> None:
    done = run_command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    examples = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("echostream ")]
    assert examples
    for example in examples:
        for word in example.split():
            assert not word.startswith("--") or word in done.stdout.split("Options:")[1]


def test_no_words_at_all() -> None:
    done = run_command()
    assert done.returncode == 2
    assert "publish" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bogus"], "No such command 'bogus'; see echostream --help"),
        (["publish"], "Missing argument"),
        (["publish", "t", "x", "--nope"], "No such option: --nope; see echostream publish --help"),
        (["publish", "a/*", "x"], "a pattern cannot be published to"),
        (["publish", "t", ""], "DATA: is empty"),
        (["publish", "t"], "DATA: is empty: the pipe ended"),
        (["publish", "t", "x", "--event", "stream-end"], "reserved"),
        (["publish", "t", "x", "--ephemeral", "--end"], "--ephemeral: cannot go with --end"),
        (["publish", "t", "x", "--url", "nonsense"], "url: 'nonsense' is not an address"),
        (["subscribe"], "Missing argument"),
        (["subscribe", "a*"], "must be a whole segment"),
        (["subscribe", "t", "--count", "0"], "--count"),
        (["subscribe", "t", "--last-event-id", "a\nb"], "last_event_id"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], says: str) -> None:
    done = run_command(*words, url="http://127.0.0.1:1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.startswith("echostream: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["publish", "subscribe"])
def test_a_client_command_does_not_load_the_server(command: str) -> None:
    look = f"import sys; from echostream.cli.app import run; run(['{command}', '--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], env=environment(), capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert "'echostream.client'" in loaded
    for heavy in ("echostream.server", "uvicorn", "starlette", "apsw"):
        assert f"'{heavy}'" not in loaded


def test_a_missing_extra_is_named() -> None:
    look = "import sys; sys.modules['typer'] = None; from echostream.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", look], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == 'echostream: typer is missing; install the command with: pip install "echostream[hub]"\n'


def test_nothing_from_the_network_drives_the_terminal() -> None:
    assert visible("a\x1b]0;title\x07\tb\nc\x9b2J\u202ed\x7f\r") == "a\\x1b]0;title\\x07\tb\nc\\x9b2J\\u202ed\\x7f\\r"
    assert visible("h\u00e9llo \u20ac \U0001f600") == "h\u00e9llo \u20ac \U0001f600"
