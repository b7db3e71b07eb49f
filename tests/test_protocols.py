"""Benchmarks as data-set files, on made-up archives of the same layout."""

import re

import numpy as np
import pytest

from reliefseg.cli import run as command
from reliefseg.errors import InputError
from reliefseg.raster import Grid, check_dataset, init_protocol, load_dataset, write_raster
from reliefseg.raster.dataset_file import (
    ClassEntry,
    DatasetFile,
    FilesEntry,
    IgnoreEntry,
    SplitsEntry,
    TileLabelRule,
    parse_dataset_file,
)
from reliefseg.raster.protocols import PROTOCOLS

COLOURS = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)], np.uint8)
SIDE = 16


def tif(path, data):
    write_raster(path, data, Grid(SIDE, SIDE))


def scene_files(places, rng):
    image, labels, heights = places
    tif(image, rng.integers(0, 255, (3, SIDE, SIDE)).astype(np.uint8))
    tif(labels, np.moveaxis(COLOURS[rng.integers(0, 6, (SIDE, SIDE))], 2, 0))
    if heights is not None:
        tif(heights, rng.uniform(200, 220, (1, SIDE, SIDE)).astype(np.float32))


@pytest.fixture(scope="module")
def vaihingen(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("vaihingen"), np.random.default_rng(0)
    numbers = [*range(1, 9), *range(10, 18), *range(20, 25), *range(26, 36), 37, 38]
    for n in numbers:
        name = f"top_mosaic_09cm_area{n}.tif"
        labels = root / "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE" / name
        heights = root / "ISPRS_semantic_labeling_Vaihingen" / "dsm" / f"dsm_09cm_matching_area{n}.tif"
        scene_files((root / "ISPRS_semantic_labeling_Vaihingen" / "top" / name, labels, heights), rng)
        eroded = f"top_mosaic_09cm_area{n}_noBoundary.tif"
        tif(
            root / "ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded" / eroded, np.zeros((3, SIDE, SIDE), np.uint8)
        )
    return root, numbers


@pytest.fixture
def bare(vaihingen):
    """The archive without a data-set file."""
    root = vaihingen[0]
    (root / "dataset.toml").unlink(missing_ok=True)
    return root


def test_vaihingen_is_split_as_published(bare, vaihingen):
    data = load_dataset(init_protocol(bare, "vaihingen"))
    assert len(data.scenes) == 33
    trained = {"1", "3", "5", "7", "11", "13", "15", "17", "21", "23", "26", "28", "30", "32", "34", "37"}
    assert set(data.splits["pixel_labelled"]) == trained
    assert set(data.splits["test"]) == {str(n) for n in vaihingen[1]} - trained
    assert all(scene.has_labels and scene.has_heights for scene in data.scenes.values())
    assert data.scenes["1"].labels.parent.name.endswith("ground_truth_COMPLETE")
    assert data.scenes["11"].image.name == "top_mosaic_09cm_area11.tif"
    assert data.scenes["1"].grid.gsd == 0.09


def test_vaihingen_with_three_masks(bare):
    data = load_dataset(init_protocol(bare, "vaihingen-3"))
    assert set(data.splits["pixel_labelled"]) == {"1", "12", "15"}
    assert set(data.splits["test"]) == {"6", "7", "13", "20", "30", "31", "37"}
    assert len(data.splits["tile_labelled"]) == 23
    report = check_dataset(bare)
    assert not report.errors


@pytest.mark.parametrize(
    ("name", "folder", "ending"), [("potsdam", "3_Ortho_IRRG", "IRRG"), ("potsdam-rgb", "2_Ortho_RGB", "RGB")]
)
def test_potsdam_pairs_heights_whose_numbers_have_zeros_in_front(tmp_path, name, folder, ending):
    rng = np.random.default_rng(1)
    scenes = [scene for split in PROTOCOLS[name].splits.values() for scene in split]
    for scene in scenes:
        row, col = scene.split("_")
        heights = tmp_path / "1_DSM" / f"dsm_potsdam_{int(row):02}_{int(col):02}.tif"
        labels = tmp_path / "5_Labels_all" / f"top_potsdam_{scene}_label.tif"
        scene_files((tmp_path / folder / f"top_potsdam_{scene}_{ending}.tif", labels, heights), rng)
    assert command(["init", str(tmp_path), "--protocol", name]) == 0
    data = load_dataset(tmp_path)
    assert (len(data.splits["pixel_labelled"]), len(data.splits["test"])) == (24, 14)
    assert data.scenes["2_10"].heights.name == "dsm_potsdam_02_10.tif"
    assert data.bands[0] == PROTOCOLS[name].bands[0]


def test_splits_of_protocols_share_no_scene():
    for protocol in PROTOCOLS.values():
        scenes = [scene for split in protocol.splits.values() for scene in split]
        assert len(scenes) == len(set(scenes))


def test_what_is_missing_is_named(bare, tmp_path, capsys):
    with pytest.raises(InputError, match=r"no images \(named top_mosaic_09cm_areaN\.tif\) of 1, 3, .*") as caught:
        init_protocol(tmp_path, "vaihingen")
    assert len(caught.value.offences) == 2
    assert command(["init", str(tmp_path), "--protocol", "vaihing"]) == 2
    assert "did you mean 'vaihingen" in capsys.readouterr().err
    init_protocol(bare, "vaihingen")
    with pytest.raises(InputError, match="is there already"):
        init_protocol(bare, "vaihingen")


def test_the_template_has_every_key_and_is_right_as_it_stands(tmp_path, capsys):
    assert command(["init", str(tmp_path), "--template"]) == 0
    text = (tmp_path / "dataset.toml").read_text(encoding="utf-8")
    parse_dataset_file(tmp_path / "dataset.toml")
    tables = [DatasetFile, FilesEntry, TileLabelRule, SplitsEntry, ClassEntry, IgnoreEntry]
    keys = {key for table in tables for key in table.model_fields} - {"classes", "scenes", "files", "splits"}
    assert not [key for key in keys if not re.search(rf"\b{key} =", text) and f"[{key}]" not in text]
    assert command(["init", str(tmp_path), "--template"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert command(["init", str(tmp_path), "--template", "--protocol", "potsdam"]) == 2
