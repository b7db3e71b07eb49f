"""`dataset.toml`: what it means, and that every fault of it is told, all at once."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform as transform_points

from reliefseg.errors import InputError
from reliefseg.raster import Dataset, Window, load_dataset, survey_dataset

CLASSES = """
[[classes]]
name = "house"
id = 1
[[classes]]
name = "tree"
id = 2
"""
HEAD = 'name = "town"\nbands = ["red", "green", "blue"]\n' + CLASSES
FILES = '[files]\nimages = "images/{scene}.tif"\nlabels = "labels/{scene}.tif"\n'


def save(path: Path, data: np.ndarray, **profile: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = data.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width, dtype=data.dtype, **profile
        ) as dataset:
            dataset.write(data)
    return path


def make(root: Path, text: str, scenes: tuple[str, ...] = ("a", "b", "c"), size: tuple[int, int] = (8, 9)) -> Path:
    """A folder with scenes and labels (left half house, the rest tree) and this `dataset.toml`."""
    labels = np.full((1, *size), 2, np.uint8)
    labels[:, :, : size[1] // 2] = 1
    for name in scenes:
        save(root / "images" / f"{name}.tif", np.full((3, *size), 7, np.uint8))
        save(root / "labels" / f"{name}.tif", labels)
    (root / "dataset.toml").write_text(text)
    return root


def faults_of(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_dataset(root)
    return str(caught.value)


# ---------------------------------------------------------------- what it means


def test_scenes_splits_and_classes(tmp_path: Path) -> None:
    root = make(tmp_path, HEAD + FILES + '[splits]\npixel_labelled = ["b"]\ntest = ["[ac]"]\n')
    data = load_dataset(root)
    assert (data.name, data.root, data.bands) == ("town", root, ("red", "green", "blue"))
    assert list(data.scenes) == ["a", "b", "c"]
    assert data.splits == {"pixel_labelled": ("b",), "test": ("a", "c")}
    assert [s.name for s in data.split("test")] == ["a", "c"]
    assert data.split("validation") == []
    assert data.classes.names == ("house", "tree")
    assert data.classes.ids == (1, 2)
    assert len(set(data.classes.colors)) == 2
    np.testing.assert_array_equal(data.scenes["a"].read_labels()[0], [0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_the_file_itself_can_be_given_and_the_name_left_out(tmp_path: Path) -> None:
    root = make(tmp_path / "village", HEAD.replace('name = "town"\n', "") + FILES)
    assert load_dataset(root / "dataset.toml").name == "village"
    assert load_dataset(str(root)).root == root


def test_a_stated_gsd_holds_where_files_say_nothing(tmp_path: Path) -> None:
    root = make(tmp_path, "gsd = 2\n" + HEAD + FILES, ("a",))
    place = {"transform": Affine(0.5, 0, 10, 0, -0.5, 10), "crs": CRS.from_epsg(25832)}
    save(root / "images" / "b.tif", np.zeros((3, 4, 4), np.uint8), **place)
    scenes = load_dataset(root).scenes
    assert (scenes["a"].grid.gsd, scenes["b"].grid.gsd) == (2.0, 0.5)
    assert not scenes["b"].has_labels


def test_a_split_that_is_no_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'valid' is no split; did you mean 'validation'"):
        load_dataset(make(tmp_path, HEAD + FILES)).split("valid")


def test_companions_that_fit_the_images_pattern_are_no_scenes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.tif", np.zeros((3, 4, 4), np.uint8))
        save(tmp_path / f"{name}_labels.tif", np.ones((1, 4, 4), np.uint8))
    (tmp_path / "dataset.toml").write_text(HEAD + '[files]\nimages = "{scene}.tif"\nlabels = "{scene}_labels.tif"\n')
    assert list(load_dataset(tmp_path).scenes) == ["a", "b"]


def test_a_placeholder_may_stand_twice_and_patterns_be_absolute(tmp_path: Path) -> None:
    for folder, name in (("a", "a"), ("b", "b"), ("a", "b")):
        save(tmp_path / "far" / folder / f"{name}_rgb.tif", np.zeros((3, 4, 4), np.uint8))
    (tmp_path / "dataset.toml").write_text(HEAD + f'[files]\nimages = "{tmp_path}/far/{{scene}}/{{scene}}_rgb.tif"\n')
    assert list(load_dataset(tmp_path).scenes) == ["a", "b"]


def test_names_with_brackets_are_taken_literally(tmp_path: Path) -> None:
    root = make(tmp_path / "x[1]", HEAD + FILES + '[splits]\ntest = ["a[b]"]\n', ("a[b]", "ab"))
    assert load_dataset(root).splits == {"test": ("a[b]",)}


def test_a_scene_of_its_own_kind(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        HEAD
        + FILES
        + '[scenes.odd]\nimages = "images/c.tif"\nlabels = "x/l.tif"\nheights = "x/h.tif"\nheights_are = "ndsm"\n',
    )
    save(root / "x" / "l.tif", np.ones((1, 8, 9), np.uint8))
    save(root / "x" / "h.tif", np.full((1, 8, 9), 3, np.float32))
    (root / "labels" / "c.tif").unlink()
    scenes = load_dataset(root).scenes
    assert list(scenes) == ["a", "b", "odd"]
    assert (scenes["odd"].read_labels() == 0).all()
    assert (scenes["odd"].read_heights() == 3).all()


def test_the_cache_lies_in_the_folder_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "d", HEAD + FILES)
    assert load_dataset(root).cache == root / ".reliefseg"
    assert load_dataset(root, cache=tmp_path / "else").cache == tmp_path / "else"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    elsewhere = load_dataset(root).cache
    assert elsewhere.parent == tmp_path / "user" / "reliefseg"
    assert elsewhere.name.startswith("d-")
    assert not elsewhere.exists()


# ---------------------------------------------------------------- faults of the file


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + "[files]\nimage = 'x/{scene}.tif'\n", r"\[files\] image: unknown key; did you mean 'images'\?"),
        (HEAD + "[files]\nimage = 'x/{scene}.tif'\n", r"\[files\] images: is missing"),
        ("nam = 'x'\n" + HEAD + FILES, r"dataset\.toml: nam: unknown key; did you mean 'name'\?"),
        (
            "heights_are = 'dsm'\n" + HEAD + FILES,
            r"heights_are: unknown key; it belongs in \[files\] or in \[scenes\.NAME\]",
        ),
        (HEAD + FILES + "gsd = 0.1\n", r"\[files\] gsd: unknown key; it belongs at the top of the file"),
        (
            HEAD + FILES + "[scenes.a]\nimages='i.tif'\nlabel='l.tif'\n",
            r"\[scenes\.a\] label: unknown key; did you mean 'labels'\?",
        ),
        (HEAD + FILES + "[split]\ntest = []\n", r"split: unknown key; did you mean 'splits'\?"),
        (
            HEAD + FILES + "[splits]\ntrain = []\n",
            r"\[splits\] train: unknown key; known: pixel_labelled, tile_labelled, unlabelled",
        ),
        (HEAD + FILES + "[splits]\ntest = 'a'\n", r"\[splits\] test: 'a': should be a valid list"),
        (HEAD + FILES + "[splits]\ntest = [1]\n", r"\[splits\] test entry 1: 1: should be a valid string"),
        ("gsd = '5 cm'\n" + HEAD + FILES, r"gsd: '5 cm': should be a valid number"),
        ("gsd = inf\n" + HEAD + FILES, r"gsd: inf: should be a finite number"),
        ("gsd = -1\n" + HEAD + FILES, r"gsd: -1: should be greater than 0"),
        (HEAD + "heigt = 3\n" + FILES, r"\[\[classes\]\] number 2, heigt: unknown key"),
        (HEAD + "color = 'red'\n" + FILES, r"\[\[classes\]\] number 2, color: .*'red' is no colour; expected #RRGGBB"),
        (HEAD.replace("id = 2", "id = 1") + FILES, r"\[\[classes\]\] the id 1 stands twice"),
        (HEAD.replace("tree", "house") + FILES, r"\[\[classes\]\] the name 'house' stands twice"),
        (HEAD.replace("id = 2", "") + FILES, r"give every class an id, or every class a color; without id: tree"),
        (HEAD + FILES + "[ignore]\nids = [2, 3]\n", r"\[ignore\] ids: 2 is also a class's id"),
        (HEAD.replace('"green"', '"red"') + FILES, r"bands: 'red' stands twice"),
        (HEAD.replace('"blue"', '"alpha"') + FILES, r"bands: alpha is no band of the image"),
        (HEAD + '[files]\nimages = "a.tif"\n', r"\[files\] images: 'a\.tif' lacks \{scene\}"),
        (
            HEAD + FILES + 'unlabelled_is = "grass"\n',
            r"\[files\] unlabelled_is: 'grass' is no class; known: house, tree",
        ),
        (HEAD + FILES + 'heights_are = "dtm"\n', r"\[files\] heights_are: 'dtm': should be 'dsm' or 'ndsm'"),
        (HEAD + FILES + "[tile_labels]\nsize = 4\n", r"\[tile_labels\] give either file = .* or from_labels = true"),
        (HEAD + FILES + "[tile_labels]\nfrom_labels = true\n", r"\[tile_labels\] size: is missing"),
        (
            HEAD + FILES + "[tile_labels]\nfrom_labels = true\nsize = 4\nper_scene = 'all'\n",
            r"per_scene: 'all': should be 'grid'.* or ",
        ),
        (HEAD + FILES + "[splits]\ntile_labelled = ['a']\n", r"tile_labelled: there is no \[tile_labels\]"),
        (HEAD + FILES + "[splits\n", r"is not valid TOML: .*line"),
        (FILES, r"bands: is missing"),
    ],
)
def test_faults_of_the_file_are_told_with_the_place(tmp_path: Path, text: str, fault: str) -> None:
    make(tmp_path, text)
    with pytest.raises(InputError, match=fault):
        load_dataset(tmp_path)


def test_all_faults_of_the_file_come_at_once(tmp_path: Path) -> None:
    make(tmp_path, "nam = 'x'\ngsd = 'y'\n" + HEAD + "[files]\nlabels = 3\n")
    text = faults_of(tmp_path)
    assert len(text.splitlines()) == 4
    assert all(str(tmp_path / "dataset.toml") in line for line in text.splitlines())


def test_no_data_set_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no dataset\.toml; write one with: reliefseg init"):
        load_dataset(tmp_path)
    with pytest.raises(InputError, match="no such folder or file"):
        load_dataset(tmp_path / "nowhere")


# ---------------------------------------------------------------- faults of files and splits


def test_faults_of_files_and_splits_come_at_once(tmp_path: Path) -> None:
    splits = '[splits]\npixel_labelled = ["a", "b"]\nvalidation = ["b", "zz*", "aa"]\ntest = ["c", "d", "e", "f"]\n'
    root = make(tmp_path, HEAD + FILES + splits, ("a", "b", "c", "d", "e", "f"))
    (root / "images" / "c.tif").write_text("no image")
    (root / "labels" / "d.tif").unlink()
    (root / "images" / "e.tif").unlink()
    save(root / "labels" / "a.tif", np.ones((1, 9, 8), np.uint8))
    save(root / "images" / "f.tif", np.zeros((4, 8, 9), np.uint16))
    text = faults_of(root)
    for fault in (
        "scene b: stands in 2 splits, pixel_labelled and validation; a scene belongs to one",
        "[splits] validation: no scene fits 'zz*'; there are 5 scenes: a, b, c, d, f",
        "[splits] validation: no scene fits 'aa'; did you mean 'a'?",
        "[splits] test: no scene fits 'e'",
        f"scene c: image {root}/images/c.tif: cannot be read",
        "scene d: is in the split test, but has no labels",
        f"labels {root}/labels/e.tif: its scene e has no image; expected images/e.tif",
        f"scene a: labels {root}/labels/a.tif has 9 × 8 px, the image 8 × 9 (height × width)",
        "scene f: the image has 4 bands, expected are 3 (red, green, blue)",
    ):
        assert fault in text
    assert len(text.splitlines()) == 9


def test_a_survey_keeps_what_can_be_used(tmp_path: Path) -> None:
    root = make(tmp_path, HEAD + FILES + '[splits]\ntest = ["*"]\n')
    (root / "images" / "b.tif").write_text("no image")
    dataset, faults = survey_dataset(root)
    assert list(dataset.scenes) == ["a", "c"]
    assert dataset.splits == {"test": ("a", "c")}
    assert len(faults) == 1


def test_stated_files_must_exist(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        HEAD + FILES + 'ground = "dtm.tif"\n[scenes.x]\nimages = "x.tif"\n[scenes.a]\nlabels = "y.tif"\n',
        ("a",),
    )
    text = faults_of(root)
    assert f"scene x: image {root}/x.tif: no such file" in text
    assert f"scene a: labels {root}/y.tif: no such file" in text
    assert f"scene a: ground {root}/dtm.tif: no such file" in text


def test_a_pattern_without_any_file(tmp_path: Path) -> None:
    make(tmp_path, HEAD + '[files]\nimages = "fotos/{scene}.tif"\n')
    with pytest.raises(InputError, match=r"\[files\] images: no file fits 'fotos/\{scene\}\.tif' in"):
        load_dataset(tmp_path)


def placed(root: Path, name: str, x: float, y: float, epsg: int = 25832) -> None:
    place = {"transform": Affine(0.5, 0, x, 0, -0.5, y), "crs": CRS.from_epsg(epsg)}
    save(root / "images" / f"{name}.tif", np.zeros((3, 20, 20), np.uint8), **place)


@pytest.mark.parametrize(
    ("x", "splits", "overlap"),
    [
        (500105.0, 'unlabelled = ["a"]\ntest = ["b"]', True),
        (500105.0, 'unlabelled = ["a", "b"]', False),
        (500110.0, 'unlabelled = ["a"]\ntest = ["b"]', False),
        (500109.8, 'unlabelled = ["a"]\nvalidation = ["b"]', False),
    ],
)
def test_footprints_must_not_overlap_across_splits(tmp_path: Path, x: float, splits: str, overlap: bool) -> None:
    (tmp_path / "dataset.toml").write_text(HEAD + FILES + f"[splits]\n{splits}\n")
    placed(tmp_path, "a", 500100, 5600000)
    placed(tmp_path, "b", x, 5600000)
    told = [fault for fault in survey_dataset(tmp_path).faults if "same ground" in fault]
    assert len(told) == overlap
    if overlap:
        with pytest.raises(
            InputError, match=r"scenes a \(unlabelled\) and b \(test\) show the same ground \(4\d\.\d% of"
        ):
            load_dataset(tmp_path)


@pytest.mark.parametrize(("shift", "overlap"), [(3.0, True), (30.0, False)])
def test_footprints_are_compared_across_crs(tmp_path: Path, shift: float, overlap: bool) -> None:
    (tmp_path / "dataset.toml").write_text(HEAD + FILES + '[splits]\nunlabelled = ["a"]\ntest = ["b"]\n')
    placed(tmp_path, "a", 691608, 5334760)
    xs, ys = transform_points(CRS.from_epsg(25832), CRS.from_epsg(25833), [691608 + shift], [5334760 - shift])
    placed(tmp_path, "b", xs[0], ys[0], 25833)
    assert any("show the same ground" in f for f in survey_dataset(tmp_path).faults) is overlap


def test_only_footprints_that_can_be_brought_into_one_crs_are_compared(tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").write_text(HEAD + FILES + '[splits]\nunlabelled = ["a", "b"]\ntest = ["c", "d"]\n')
    placed(tmp_path, "a", 500100, 5600000)
    site = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    for name, x in (("b", 0.0), ("c", 5.0), ("d", 100.0)):
        place = {"transform": Affine(0.5, 0, x, 0, -0.5, 0), "crs": site}
        save(tmp_path / "images" / f"{name}.tif", np.zeros((3, 20, 20), np.uint8), **place)
    told = [fault for fault in survey_dataset(tmp_path).faults if "same ground" in fault]
    assert len(told) == 1
    assert told[0].startswith("scenes b (unlabelled) and c (test) show the same ground (47.4%")


# ---------------------------------------------------------------- real scenes


@pytest.fixture(scope="module")
def real(dubai: Path) -> Dataset:
    return load_dataset(dubai)


def test_dubai_loads(real: Dataset) -> None:
    assert len(real.scenes) == 54
    assert {k: len(v) for k, v in real.splits.items()} == {
        "pixel_labelled": 3,
        "tile_labelled": 23,
        "validation": 19,
        "test": 9,
    }
    assert real.scenes["tile1_part001"].grid.gsd is None


def test_dubais_palette_and_colour_labels_are_read(real: Dataset) -> None:
    for name in ("tile1_part001", "tile2_part001", "tile4_part003"):
        labels = real.scenes[name].read_labels()
        assert labels.shape == (real.scenes[name].grid.height, real.scenes[name].grid.width)
        assert set(np.unique(labels)) <= {0, 1, 2, 3, 4, 255}
        assert (labels != 255).mean() > 0.9


def test_dubais_tile_labels(real: Dataset) -> None:
    labels = real.tile_labels()
    assert {label.scene for label in labels} == set(real.splits["tile_labelled"])
    assert all(label.window.height == label.window.width == 256 for label in labels)
    assert labels[0].window == Window(0, 0, 256, 256)
