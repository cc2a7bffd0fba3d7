"""The command line's own manners: help, versions, one line for each mistake, exit codes."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from echostream.cli.say import visible
from support.command import command, environment, run_command

FULL = Path("/dev/full")


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
        (["publish", "t", "x", "--url", "http://a..b"], "url: 'http://a..b' is not an address"),
        (["publish", "t", "x", "--url", "http://127.0.0.1\x01/"], "is not an address"),
        (["publish", "t", "x", "--url", "http://127.0.0.1/?a=b"], "without ? and #"),
        (["subscribe", "t", "--url", "http://127.0.0.1#b"], "without ? and #"),
        (["subscribe", "t", "--since", "\udcff"], "since"),
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


@pytest.mark.parametrize("words", [("publish", "t", "x"), ("subscribe", "t")])
def test_a_password_is_never_shown(words: tuple[str, ...]) -> None:
    wrong = run_command(*words, "--url", "ftp://me:secret@127.0.0.1/")
    assert (wrong.returncode, "***@127.0.0.1" in wrong.stderr, "secret" in wrong.stderr) == (2, True, False)
    with subprocess.Popen(
        command(*words), env=environment("http://me:secret@127.0.0.1:1"), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
        finally:
            process.kill()
    assert line.startswith("echostream: http://***@127.0.0.1:1: ")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [("publish t", "<&-", 2), ("--version", ">&-", 0), ("--version", "2>&-", 0), ("publish t ''", "2>&-", 2)],
)
def test_a_closed_stream_is_an_empty_one(words: str, closed: str, code: int) -> None:
    line = f"{shlex.join(command())} {words} {closed}"
    done = subprocess.run(line, shell=True, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_an_output_that_is_full_is_one_line() -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            command("--version"), env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "echostream: the output cannot be written: No space left on device\n")


INTERRUPTED = """
import builtins, os, signal, sys
real = builtins.__import__
def imported(name, *rest):
    if name == "uvicorn":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest)
builtins.__import__ = imported
sys.argv = ["echostream", "serve", "--log", "memory://"]
from echostream.cli import main
main()
"""


def test_an_interrupt_while_it_is_loading_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("name", ["publish", "subscribe"])
def test_a_client_command_does_not_load_the_server(name: str) -> None:
    look = f"import sys; from echostream.cli.app import run; run(['{name}', '--help']); print(sorted(sys.modules))"
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
