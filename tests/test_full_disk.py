"""What becomes of rasters where the disk takes no more: a limit of the size of files stands in for it."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest

from reliefseg.cli import run as command
from reliefseg.depth.cache import write_depth
from reliefseg.depth.source import Block, Making
from reliefseg.errors import InputError
from reliefseg.raster import Grid, Window
from reliefseg.raster.writers import write_raster

SIDE = 300
NOISE = np.random.default_rng(0).integers(0, 65534, (SIDE, SIDE), dtype=np.uint16)


@contextmanager
def files_end_at(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_plain(path):
    write_raster(path, NOISE, Grid(SIDE, SIDE))


def write_heights(path):
    block = Block(Window(0, 0, SIDE, SIDE), NOISE.astype(np.float32) / 65534)
    write_depth(path, Grid(SIDE, SIDE), Making([block], {}), {})


@pytest.mark.parametrize("write", [write_plain, write_heights])
@pytest.mark.parametrize("missing", [1, 1000, 20_000, 150_000])
def test_a_raster_that_the_disk_did_not_take_is_told_and_leaves_nothing(tmp_path, write, missing):
    """GDAL says nothing where the last bytes fail, which are written at closing."""
    write(tmp_path / "whole.tif")
    size = (tmp_path / "whole.tif").stat().st_size
    (tmp_path / "out").mkdir()
    with files_end_at(size - missing), pytest.raises(InputError, match=r"out: cannot write results here .* are free"):
        write(tmp_path / "out" / "a.tif")
    assert list((tmp_path / "out").iterdir()) == []


def test_generated_scenes_that_the_disk_did_not_take_are_one_message(tmp_path, capfd):
    with files_end_at(40_000):
        assert (
            command(["generate", str(tmp_path / "g"), "--scenes", "1", "--size", "128", "--jobs", "1", "--quiet"]) == 2
        )
    assert "cannot write results here" in capfd.readouterr().err
    assert not (tmp_path / "g" / "dataset.toml").exists()
