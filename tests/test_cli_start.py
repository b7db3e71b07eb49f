"""The command's start and its output, in a process of its own: signals while it loads, encodings."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
from affine import Affine

from reliefseg import workflow

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


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose names go beyond ASCII."""
    root = tmp_path_factory.mktemp("street")
    profile = {"crs": "EPSG:25832", "transform": Affine(0.5, 0, 600_000, 0, -0.5, 5_700_000)}
    pixels = np.arange(1, 101, dtype=np.uint8).reshape(1, 10, 10)
    with rasterio.open(root / "größe.tif", "w", count=1, height=10, width=10, dtype="uint8", **profile) as file:
        file.write(pixels)
    text = 'bands = ["grey"]\n[[classes]]\nname = "straße 🌳"\nid = 1\n[files]\nimages = "{scene}.tif"\n'
    (root / "dataset.toml").write_text(text, encoding="utf-8")
    return root


def test_what_the_output_cannot_write_is_escaped(street: Path) -> None:
    how = ["-m", "reliefseg", "check", str(street)]
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    text, as_json = started(how, **environment), started([*how, "--json"], **environment)
    assert (text.returncode, as_json.returncode) == (0, 0), text.stderr + as_json.stderr
    assert rb"gr\xf6\xdfe" in text.stdout
    found = json.loads(as_json.stdout.decode("ascii"))
    assert (found["scenes"][0]["name"], found["classes"]) == ("größe", ["straße 🌳"])


def test_little_is_loaded() -> None:
    """What does not learn loads neither Fabric nor charts, half of what loading takes.

    What learns loads no torchmetrics, which Fabric imports to ask for its version, and with it transformers.
    """
    asked = "import sys, reliefseg.cli; print(*{'lightning_fabric', 'matplotlib', 'scipy.stats'} & sys.modules.keys());"
    asked += "import reliefseg.learning.training; print(*{'torchmetrics', 'transformers'} & sys.modules.keys())"
    done = started(["-c", asked])
    assert done.returncode == 0
    assert done.stdout.split() == []


def test_the_public_names_are_there() -> None:
    """A function is found by its name, not a module of the same name that was imported before."""
    found = {name: getattr(workflow, name) for name in workflow.__all__}
    assert set(workflow.__all__) == set(workflow._HOMES)
    assert not [name for name, what in found.items() if isinstance(what, ModuleType)]
    assert workflow.label_curve is found["label_curve"]
