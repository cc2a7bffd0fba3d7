"""The commands, and how each of their errors becomes one line and an exit code.

A command's module is imported when it is called, so `echostream publish` in a shell loop does
not pay for the server. Exit codes: 0 done, 1 failed, 2 a wrong call, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ..exceptions import EchostreamError, InvalidInput
from .say import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, say

__all__ = ["app", "run"]

COMMANDS = ("serve", "publish", "subscribe")
OUTPUT_FAILS = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
_SETTINGS: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}


class _Commands(TyperGroup):
    """Each command is the function of its name in the module of its name."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (typer's signature)
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        function = getattr(import_module(f"{__package__}.{cmd_name}"), cmd_name)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # everything is imported, see main()
            signal.signal(signal.SIGINT, signal.default_int_handler)
        one = typer.Typer(**_SETTINGS)
        one.command(name=cmd_name, context_settings={"help_option_names": ["-h", "--help"]})(function)
        return get_command(one)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"echostream {version('echostream')}")
        raise typer.Exit


@app.callback()
def _all_commands(  # pyright: ignore[reportUnusedFunction]
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """Publish events, keep them, follow them live, and never lose the place.

    \b
    Start a hub, follow a topic, publish to it:
      echostream serve
      echostream subscribe greetings
      echostream publish greetings "hello"
    """


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (default: this process's); its exit code."""
    _open_streams()
    try:
        code = app(arguments, prog_name="echostream", standalone_mode=False)
    except typer.TyperException as error:
        return _explain(error)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except InvalidInput as error:
        say(str(error))
        return EXIT_USAGE
    except (EchostreamError, ModuleNotFoundError) as error:
        say(str(error))
        return EXIT_FAILED
    except OSError as error:
        if error.errno not in OUTPUT_FAILS:
            raise
        return _output_failed(error)
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """A stream that was closed for us (`<&-`) is empty; a socket that got its descriptor would be taken for it."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _output_failed(error: OSError) -> int:
    """Standard output is full, or its reader has gone, which is not worth a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it flushes
    if not isinstance(error, BrokenPipeError):
        say(f"the output cannot be written: {error.strerror}")
    return EXIT_FAILED


def _explain(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # `echostream` alone asks for help; typer has no public name for it
        print(context.get_help() if context is not None else error.format_message())
        return EXIT_USAGE
    command = context.command_path if context is not None else "echostream"
    say(f"{error.format_message().rstrip('.')}; see {command} --help")
    return error.exit_code
