"""What all tests share: shape checks, threads, and the real scenes."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

import shape_checks

shape_checks.install()
hypothesis.settings.register_profile("untimed", deadline=None)  # machines are slow at times; tests are not benchmarks
hypothesis.settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    """CPU results repeat per number of threads."""
    torch.set_num_threads(min(2, int(os.environ.get("OMP_NUM_THREADS", 2)), os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order():
    """A test draws the same numbers whichever tests its worker ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="module", autouse=True)
def torch_alone():
    """`auto` tries no engine that happens to be installed: writing ONNX under shape checks takes most of a minute."""
    from reliefseg.inference.choosing import EngineMaker

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EngineMaker, "candidates", lambda maker: [maker.full_name("torch")])
        yield


@pytest.fixture(scope="session")
def dubai() -> Path:
    """The real scenes, where they lie beside the project."""
    path = SHARED / "data" / "dubai"
    if not path.is_dir():
        pytest.skip("no real scenes beside the project (../shared/data/dubai)")
    return path
