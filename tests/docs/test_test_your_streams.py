"""The tests that "Test your streams" prints are run, by a pytest of their own with nothing but what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "test-your-streams.md"
NAMED = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n", re.MULTILINE)
SETTINGS = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_each_printed_test_passes(tmp_path: Path) -> None:
    text = PAGE.read_text()
    files = NAMED.findall(text)
    assert len(files) == len(PYTHON.findall(text)) >= 5, "a sample without a file name is not run"
    for name, source in files:
        (tmp_path / name).write_text(source)
    (settings,) = SETTINGS.findall(text)
    (tmp_path / "pyproject.toml").write_text(settings)
    # The plugin is named: an environment that was installed before it was there does not find it by itself.
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "pytest_echostream", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    tests = sum(source.count("def test_") for _, source in files)
    assert f"{tests} passed" in run.stdout, run.stdout
