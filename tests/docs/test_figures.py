"""The reference page names every figure that the hub gives, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from echostream.server.own import Machine
from support.inside import serving

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "http.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    return [line.strip("|").split("|") for line in lines if line.startswith("| `")]


def test_every_figure_for_prometheus_is_named() -> None:
    with serving() as hub:
        text = hub.ask("GET", "/metrics").body.decode()
    given = set(re.findall(r"^# TYPE echostream_(\w+)", text, re.MULTILINE))
    named = {name for row in rows("Figures") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {name for name in given if not name.endswith("_created")}


def test_every_figure_of_the_machine_is_named() -> None:
    machine = Machine()
    machine.sample()
    figures = machine.sample()
    assert figures is not None
    [row] = [row for row in rows("The hub's own topics") if "hub/machine" in row[0]]
    assert set(re.findall(r"`(\w+)`", row[2])) == set(figures)
