"""The command's start, in a process of its own: signals while it loads."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored in a shell's background
    "from reliefseg.__main__ import main; main()"
)
PATH = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def started(how: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *how], capture_output=True, env=os.environ | environment, timeout=300)


@pytest.mark.parametrize(
    ("how", "number"),
    [(["-c", START], signal.SIGINT), (["-c", START], signal.SIGTERM), (["-m", "reliefseg"], signal.SIGTERM)],
)
def test_a_signal_while_the_command_loads_ends_in_one_line(tmp_path: Path, how: list[str], number: int) -> None:
    stub = f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)\n"
    (tmp_path / "typer.py").write_text(stub)  # the first thing that the command line imports
    done = started(how, PYTHONPATH=os.pathsep.join([str(tmp_path), *PATH]))
    assert done.returncode == 130
    assert done.stderr == b"interrupted before anything had begun\n"
