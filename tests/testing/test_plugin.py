"""The pytest plugin: costs nothing to who does not use it, and says what to install to who cannot."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "pytest_echostream", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


def test_it_is_registered_by_its_own_name() -> None:
    """Under another name a suite that says `-p pytest_echostream` too would have it twice, an error of pytest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"pytest_echostream": "pytest_echostream"}


def test_a_suite_that_does_not_use_it_imports_nothing_of_echostream(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_it(request):\n"
        "    assert request.config.pluginmanager.has_plugin('pytest_echostream')\n"
        "    assert not [name for name in sys.modules if name.split('.')[0] == 'echostream']\n"
    )
    run = run_pytest(tmp_path)
    assert "1 passed" in run.stdout, run.stdout + run.stderr


def test_the_fixtures_work_and_are_of_one_test_each(tmp_path: Path) -> None:
    (tmp_path / "test_hub.py").write_text(
        "import threading\n\nimport pytest\n\n@pytest.mark.parametrize('turn', [1, 2])\n"
        "def test_it(echostream_hub, echostream_client, turn):\n"
        "    stream = echostream_client.subscribe('a', since='earliest')\n"
        "    echostream_hub.publish('a', turn)\n"
        "    assert stream.wait_for_event(turn).id.endswith('.1')\n\n"
        "def test_nothing_is_left():\n"
        "    assert not [thread for thread in threading.enumerate() if thread.name.startswith('echostream')]\n"
    )
    run = run_pytest(tmp_path)
    assert "3 passed" in run.stdout, run.stdout + run.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\n\nsys.modules['uvicorn'] = None\n")
    (tmp_path / "test_hub.py").write_text("def test_it(echostream_hub):\n    pass\n")
    run = run_pytest(tmp_path)
    assert run.returncode == 1
    assert 'echostream_hub needs uvicorn; install it with: pip install "echostream[hub]"' in run.stdout
