"""Files appear under their final name only when whole; rasters come back as they were written."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS

from reliefseg.errors import InputError
from reliefseg.raster import (
    ClassSpec,
    ClassTable,
    Grid,
    open_scene,
    read_header,
    whole_file,
    write_json,
    write_raster,
    write_text,
)
from reliefseg.raster.files import locked, shared
from reliefseg.raster.fingerprints import fingerprint
from reliefseg.raster.writers import new_raster

CLASSES = ClassTable((ClassSpec("house", (200, 10, 30)), ClassSpec("tree", (0, 120, 0))))
UTM = Grid(5, 7, Affine(0.5, 0, 400000, 0, -0.5, 5600000), CRS.from_epsg(32632))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    write_text(target, "old")
    write_text(target, "größer")
    assert target.read_text(encoding="utf-8") == "größer"
    assert _names(target.parent) == ["a.txt"]


def _stop_halfway(target: Path, stop: type[BaseException]) -> None:
    with whole_file(target) as part:
        assert (part.suffix, part.parent) == (target.suffix, target.parent)
        part.write_text("half")
        raise stop


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_writing_early_leaves_the_old_file(tmp_path: Path, stop: type[BaseException]) -> None:
    target = tmp_path / "a.npz"
    target.write_text("old")
    with pytest.raises(stop):
        _stop_halfway(target, stop)
    assert target.read_text() == "old"
    assert _names(tmp_path) == ["a.npz"]


def test_the_usual_permissions_hold(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_folder_that_cannot_be_made_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/sub: cannot make this folder .*; choose another place"):
        write_text(tmp_path / "file" / "sub" / "a.txt", "")


def test_a_folder_without_permission_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot write into this folder"):
        write_text(tmp_path / "a.txt", "")


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"share": 0.5, "none": None})
    assert json.loads((tmp_path / "a.json").read_text()) == {"share": 0.5, "none": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"share": float("nan")})
    assert _names(tmp_path) == ["a.json"]


@settings(max_examples=25)
@given(
    data=arrays(
        st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]),
        st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40)),
        elements=st.integers(0, 100),
    ),
    georeferenced=st.booleans(),
)
def test_rasters_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, data: np.ndarray, georeferenced: bool
) -> None:
    path = tmp_path_factory.mktemp("r") / "a.tif"
    place = (UTM.transform, UTM.crs) if georeferenced else ()
    grid = Grid(*data.shape[1:], *place)
    write_raster(path, data, grid)
    scene = open_scene(path, bands=tuple(f"b{i}" for i in range(len(data))), classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands(), data)
    assert (scene.grid, scene.dtype) == (grid, data.dtype)


def test_tags_descriptions_and_nodata_are_kept(tmp_path: Path) -> None:
    write_raster(
        tmp_path / "d.tif",
        np.full((5, 7), -1, np.float32),
        UTM,
        nodata=-1,
        tags={"source": "dpt"},
        descriptions=["depth"],
    )
    with rasterio.open(tmp_path / "d.tif") as dataset:
        assert dataset.tags()["source"] == "dpt"
        assert dataset.descriptions == ("depth",)
        assert dataset.nodata == -1


def test_an_interrupted_raster_leaves_nothing(tmp_path: Path) -> None:
    kind = np.dtype(np.uint8)
    with pytest.raises(KeyboardInterrupt), new_raster(tmp_path / "m.tif", UTM, bands=1, dtype=kind):
        raise KeyboardInterrupt
    assert _names(tmp_path) == []


def test_data_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"do not fit a grid of 5 × 7 px"):
        write_raster(tmp_path / "m.tif", np.zeros((7, 5), np.uint8), UTM)


def test_a_world_file_without_crs_keeps_its_transform(tmp_path: Path) -> None:
    grid = Grid(5, 7, UTM.transform)
    write_raster(tmp_path / "a.tif", np.zeros((5, 7), np.uint8), grid)
    assert read_header(tmp_path / "a.tif").grid == grid


def test_a_lock_speaks_of_itself_alone(tmp_path: Path) -> None:
    busy = InputError("in use")
    with locked(tmp_path / "l", busy), pytest.raises(InputError, match="in use"), locked(tmp_path / "l", busy):
        pass
    with pytest.raises(BlockingIOError), locked(tmp_path / "l", busy):
        raise BlockingIOError
    with locked(tmp_path / "l"):
        assert (tmp_path / "l").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
@pytest.mark.parametrize("lock", [locked, shared])
def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, lock: Callable[[Path], AbstractContextManager[None]]
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(InputError, match=r"knows no locks .* -o or --cache"), lock(tmp_path / "l"):
        pass


@pytest.mark.parametrize("overviews", [[], [2]])
def test_a_file_in_an_archive_has_a_fingerprint_of_what_it_shows(tmp_path: Path, overviews: list[int]) -> None:
    found = []
    for value in (1, 2):
        folder = tmp_path / str(value)
        write_raster(folder / "a.tif", np.full((600, 700), value, np.uint8), Grid(600, 700, UTM.transform, UTM.crs))
        if overviews:
            with rasterio.open(folder / "a.tif", "r+") as dataset:
                dataset.build_overviews(overviews)
        archive = shutil.make_archive(str(folder), "zip", folder)
        found.append(fingerprint([Path(f"/vsizip/{{{archive}}}/a.tif")]))
    assert found[0] != found[1]


def test_a_shapefiles_table_counts_however_its_name_is_written(tmp_path: Path) -> None:
    found = []
    for value in (b"house", b"tree"):
        (tmp_path / "Q.SHP").write_bytes(b"shapes")
        (tmp_path / "Q.DBF").write_bytes(value)
        found.append(fingerprint([tmp_path / "Q.SHP"]))
    assert found[0] != found[1]
