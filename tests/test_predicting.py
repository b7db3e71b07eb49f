"""Whole scenes from and to disk: interruptions, shards, other models and sources, damaged files."""

import errno
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasterio.shutil import copy as copy_raster
from rich.console import Console

from reliefseg.cli import run as command
from reliefseg.cli.common import Teller
from reliefseg.depth import DepthSettings, read_depth
from reliefseg.errors import InputError
from reliefseg.export import BundleClass, ModelSpec, save_bundle
from reliefseg.inference import work
from reliefseg.inference.choosing import EngineMaker
from reliefseg.inference.plan import Plan
from reliefseg.inference.store import FolderStore
from reliefseg.raster import ClassSpec, ClassTable, open_scene, read_header
from reliefseg.raster.opening import quiet_georeferencing
from reliefseg.workflow import Shard, Wanted, find_scenes, load_model, merge, predict, scene_work
from reliefseg.workflow.scene_work import EVERYTHING

HEIGHT, WIDTH = 170, 230
CLASSES = ClassTable((ClassSpec("road", (1, 2, 3)),))


def save_model(folder, seed=0, **changes):
    spec = ModelSpec(
        network="unet-small", bands=("red", "green"), scene_bands=("red", "green"), loss="softmax",
        classes=tuple(BundleClass(name=n, color=(i * 40, 9, 9)) for i, n in enumerate(("road", "roof", "tree"))),
        mean=(100.0, 110.0), std=(50.0, 40.0), working_scale=1.0, reference_gsd=0.1, window=48, margin=4,
        depth=DepthSettings(source="none"),
    )  # fmt: skip
    torch.manual_seed(seed)
    spec = spec.model_copy(update=changes)
    save_bundle(folder, spec, of_many_classes(spec.build_network()))
    return folder


@torch.no_grad()
def of_many_classes(network):
    """The untrained U-Net, its logits shifted and stretched so that its maps show all classes."""
    bands = next(network.parameters()).shape[1]
    logits = network.eval().fused(torch.randn(1, bands, 64, 64))
    stretch = 2 / logits.std()
    network.head.bias.sub_(logits.mean((0, 2, 3))).mul_(stretch)
    network.head.weight.mul_(stretch)
    return network


def write_scene(path, *, height=HEIGHT, width=WIDTH, gsd=0.1, seed=0, bands=2, **profile):
    rng = np.random.default_rng(seed)
    profile = {"nodata": 0, "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"} | profile
    pixels = rng.integers(1, 255, (bands, height, width), dtype=np.uint8)
    pixels[:, 30:60, 40:80] = 0
    where = {"crs": "EPSG:32640", "transform": Affine(gsd, 0, 300000, 0, -gsd, 2700000)}
    with rasterio.open(path, "w", height=height, width=width, count=bands, dtype="uint8", **where, **profile) as file:
        file.write(pixels)
    return path


def without_georeferencing(path):
    with rasterio.open(path) as file:
        pixels, like = file.read(), {k: file.profile[k] for k in ("height", "width", "count", "dtype", "nodata")}
    with quiet_georeferencing(), rasterio.open(path, "w", **like) as file:
        file.write(pixels)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scenes") / "city.tif")


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of one or few windows, so that small scenes have many."""
    monkeypatch.setattr("reliefseg.inference.plan.PIECE", 40)


@pytest.fixture(scope="module")
def whole_once(model, scene, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reliefseg.inference.plan.PIECE", 40)
        predict(model, [scene], out)
    return contents(out)


@pytest.fixture
def whole(whole_once, small_pieces):
    """The results of a run never interrupted."""
    return whole_once


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def broken_off(monkeypatch, model, scene, out, after):
    """A run that ends, as if killed, when it has kept `after` pieces."""
    kept, keep = [], FolderStore.keep

    def counted(self, piece, computed):
        if len(kept) >= after:
            raise SystemExit("killed")
        kept.append(piece.number)
        keep(self, piece, computed)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "keep", counted)
        with pytest.raises(SystemExit, match="killed"):
            predict(model, [scene], out)
    return kept


class Notes:
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)

    def progress(self, title):
        from contextlib import nullcontext

        return nullcontext(lambda done, of: None)

    def said(self, words):
        return any(words in line for line in self.lines)


def test_the_map_lies_on_the_scenes_grid_and_is_what_the_model_says_in_memory(model, scene, tmp_path):
    (tally,) = predict(model, [scene], tmp_path)
    with rasterio.open(tally["files"]["classes"]) as found, rasterio.open(scene) as image:
        assert (found.crs, found.transform, found.shape) == (image.crs, image.transform, image.shape)
        class_ids = found.read(1)
        np.testing.assert_array_equal(class_ids == 255, (image.read() == 0).all(axis=0))
    np.testing.assert_array_equal(class_ids, load_model(model).predict(scene))
    assert not list(tmp_path.glob(".reliefseg-*"))


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_interrupted_and_taken_up_again_it_gives_the_same_bytes(monkeypatch, model, scene, tmp_path, whole, after):
    kept = broken_off(monkeypatch, model, scene, tmp_path / "out", after)
    assert not list((tmp_path / "out").rglob("*.tif"))
    notes = Notes()
    (tally,) = predict(model, [scene], tmp_path / "out", say=notes)
    assert tally["pieces_reused"] == len(kept)
    assert notes.said("going on") == bool(kept)
    assert contents(tmp_path / "out") == whole


def test_killed_outright_it_goes_on_to_the_same_bytes(model, scene, tmp_path, whole):
    """SIGKILL while a piece is being written: what lies there under final names is whole."""
    script = """
import os, signal, sys
from reliefseg.inference import choosing, plan, store
choosing.EngineMaker.candidates = lambda maker: [maker.full_name("torch")]
plan.PIECE = 40
whole_file, kept = store.FolderStore.put, []
def put(self, number, content):
    kept.append(number)
    if len(kept) == 4:
        self.path(number).with_name(".half.part.safetensors").write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    whole_file(self, number, content)
store.FolderStore.put = put
from reliefseg.cli import run
sys.exit(run(sys.argv[1:]))
"""
    arguments = [sys.executable, "-c", script, "predict", str(model), str(scene), "-o", str(tmp_path / "out")]
    killed = subprocess.run(arguments, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert list((tmp_path / "out" / ".reliefseg-city").glob("*/piece_*"))
    predict(model, [scene], tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_shards_and_merge_give_the_same_bytes_in_any_order(model, scene, tmp_path, whole):
    out = tmp_path / "out"
    for index in (3, 1):
        predict(model, [scene], out, shard=Shard(index, 3))
    with pytest.raises(InputError, match=r"scene city: \d of \d+ pieces are not there.*run the missing shards"):
        merge(model, [scene], out)
    predict(model, [scene], out, shard=Shard(2, 3))
    notes = Notes()
    (tally,) = merge(model, [scene], out, say=notes)
    assert tally["pieces"] == 0
    assert notes.said("city: nothing left to compute; done in ")
    assert contents(out) == whole


def test_shards_share_out_every_piece_once():
    pieces = list(Plan.of(3000, 3000, 1.0, window=48, margin=4, batch=4).pieces)
    for of in (1, 4, len(pieces) + 3):
        assert [piece for i in range(1, of + 1) for piece in Shard(i, of).share(pieces)] == pieces


def test_another_model_starts_afresh_and_says_so(monkeypatch, model, scene, tmp_path, small_pieces):
    broken_off(monkeypatch, model, scene, tmp_path / "out", 3)
    notes, other = Notes(), save_model(tmp_path / "other", seed=1)
    (tally,) = predict(other, [scene], tmp_path / "out", say=notes)
    assert notes.said("unfinished work was made with another model; starting afresh")
    assert tally["pieces_reused"] == 0
    assert not list((tmp_path / "out").glob(".reliefseg-*"))


def test_another_source_starts_afresh_and_says_so(monkeypatch, model, tmp_path, small_pieces):
    scene = write_scene(tmp_path / "city.tif")
    broken_off(monkeypatch, model, scene, tmp_path / "out", 3)
    write_scene(scene, seed=1)
    notes = Notes()
    predict(model, [scene], tmp_path / "out", say=notes)
    assert notes.said("made with another source; starting afresh")


def test_what_is_finished_is_not_computed_again(model, scene, tmp_path):
    predict(model, [scene], tmp_path)
    left_over = tmp_path / f".reliefseg-{scene.stem}" / "key" / "piece_1.npz"
    left_over.parent.mkdir(parents=True)
    left_over.touch()  # as where the process was killed while it removed its work
    notes = Notes()
    (tally,) = predict(model, [scene], tmp_path, say=notes)
    assert notes.said("is there already")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert Path(tally["files"]["classes"]).exists()
    Path(tally["files"]["classes"]).unlink()
    (again,) = predict(model, [scene], tmp_path)
    assert again["pieces"] > 0


def test_bands_reach_the_network_in_the_models_order(scene, tmp_path):
    model = save_model(tmp_path / "model", bands=("green", "red"), mean=(110.0, 100.0), std=(40.0, 50.0))
    predict(model, [scene], tmp_path / "out")
    with rasterio.open(tmp_path / "out" / scene.stem / "classes.tif") as file:
        np.testing.assert_array_equal(file.read(1), load_model(model).predict(scene))


def test_one_scene_without_depth_keeps_no_other_from_being_done(tmp_path, capsys):
    model = save_model(tmp_path / "model", depth=DepthSettings(source="builtin"), mean=(1, 1, 0.5), std=(1, 1, 1))
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("b", "c"):
        write_scene(folder / f"{name}.tif", height=60, width=70)
    with rasterio.open(write_scene(folder / "a.tif", height=60, width=70), "r+") as file:
        file.write(np.full((2, 60, 70), 9, np.uint8))
    assert command(["predict", str(model), str(folder), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    assert "scene a: every valid pixel" in capsys.readouterr().err
    assert [(tmp_path / "out" / name / "classes.tif").exists() for name in "abc"] == [False, True, True]


def test_two_processes_do_not_write_the_same_results(model, scene, tmp_path, monkeypatch):
    notes = Notes()

    def meanwhile(*arguments, **more):
        with pytest.raises(InputError, match="another process is writing its results"):
            predict(model, [scene], tmp_path, say=notes)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scene_work, "hand_over", meanwhile)
        with pytest.raises(KeyboardInterrupt):
            predict(model, [scene], tmp_path)
    assert not notes.said("going on")
    (tally,) = predict(model, [scene], tmp_path)
    assert tally["pieces_reused"] > 0


def test_a_misspelt_run_is_not_made(tmp_path, capsys):
    assert command(["quantise", str(tmp_path / "typo"), str(tmp_path)]) == 2
    assert not (tmp_path / "typo").exists()


def test_results_in_a_folder_are_of_one_model(model, scene, tmp_path):
    everything = ["--probabilities", "--polygons", "--quiet"]
    assert command(["predict", str(model), str(scene), "-o", str(tmp_path / "out"), *everything]) == 0
    other = save_model(tmp_path / "other", seed=1)
    assert command(["predict", str(other), str(scene), "-o", str(tmp_path / "out"), "--quiet"]) == 0
    left = {path.name for path in (tmp_path / "out" / scene.stem).iterdir()}
    assert "classes.tif" in left
    assert not [name for name in left if name.startswith(("polygons", "probabilities"))]


def test_a_look_in_qgis_is_no_change(model, tmp_path):
    scene = write_scene(tmp_path / "city.tif")
    predict(model, [scene], tmp_path / "out")
    (tmp_path / "city.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    notes = Notes()
    predict(model, [scene], tmp_path / "out", say=notes)
    assert notes.said("is there already")


def test_what_a_vrt_inside_a_vrt_is_made_of_counts(tmp_path):
    scene = write_scene(tmp_path / "city.tif")
    copy_raster(scene, tmp_path / "inner.vrt", driver="VRT")
    text = (tmp_path / "inner.vrt").read_text()
    (tmp_path / "outer.vrt").write_text(text.replace("city.tif", "inner.vrt"))
    found = []
    for ns in (10**18, 2 * 10**18):
        os.utime(scene, ns=(ns, ns))
        opened = open_scene(tmp_path / "outer.vrt", bands=("red", "green"), classes=CLASSES)
        found.append(work.source_hash(opened, None))
    assert found[0] != found[1]


@pytest.mark.parametrize("shard", [EVERYTHING, Shard(1, 2)])
def test_work_that_another_process_is_at_is_not_removed(model, scene, tmp_path, monkeypatch, shard):
    other, keep, tried = save_model(tmp_path / "other", seed=1), FolderStore.keep, []

    def meanwhile(self, piece, computed):
        if not tried:
            tried.append(True)
            with pytest.raises(InputError, match=r"scene city: another process is predicting it into .*; wait for it"):
                predict(other, [scene], tmp_path / "out")
            predict(other, [scene], tmp_path / "out", shard=Shard(1, 1000))
        keep(self, piece, computed)

    monkeypatch.setattr(FolderStore, "keep", meanwhile)
    predict(model, [scene], tmp_path / "out", shard=shard)
    (tally,) = predict(model, [scene], tmp_path / "out")
    assert Path(tally["files"]["classes"]).exists()
    assert not list((tmp_path / "out").glob(".reliefseg-*"))


def test_a_shard_reuses_only_pieces_of_its_own(model, scene, tmp_path, small_pieces):
    tallies = [predict(model, [scene], tmp_path, shard=Shard(n, 2))[0] for n in (1, 2, 2)]
    assert [(tally["pieces"] > 0, tally["pieces_reused"] > 0) for tally in tallies] == [
        (True, False), (True, False), (False, True),
    ]  # fmt: skip


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_links_will_do(model, scene, tmp_path, monkeypatch, number):
    def no_links(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.link", no_links)
    (tally,) = predict(model, [scene], tmp_path)
    assert Path(tally["files"]["classes"]).exists()


def test_a_stray_file_among_unfinished_work_is_passed_over(model, scene, tmp_path):
    stray = tmp_path / f".reliefseg-{scene.stem}" / ".DS_Store"
    stray.parent.mkdir()
    stray.touch()
    for _ in range(2):
        (tally,) = predict(model, [scene], tmp_path)
        assert Path(tally["files"]["classes"]).exists()
    assert stray.exists()


def test_a_file_in_use_is_one_message_and_the_same_command_finishes(model, tmp_path, monkeypatch, capsys):
    scene, replace = write_scene(tmp_path / "city.tif", height=60, width=70), Path.replace
    arguments = ["predict", str(model), str(scene), "-o", str(tmp_path), "--quiet"]

    def in_use(self, target):
        if Path(target) == tmp_path / "city" / "classes.tif":
            raise PermissionError(errno.EACCES, "Permission denied", str(self), None, str(target))
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", in_use)
        assert command(arguments) == 2
    said = capsys.readouterr().err
    assert "city: the results there are incomplete: " in said
    assert "classes.tif cannot be written (Permission denied)" in said
    assert "the same command finishes them" in said
    assert find_scenes([str(tmp_path / "city.tif"), str(tmp_path / "city")]) == [scene]
    assert command(arguments) == 0
    assert "classes" in json.loads((tmp_path / "city" / "prediction.json").read_text())["files"]


def test_areas_are_written_anew_once_there_is_validation(model, scene, tmp_path):
    predict(model, [scene], tmp_path / "out")
    validated = tmp_path / "validated"
    shutil.copytree(model, validated / "model")
    assert load_model(validated).hash == load_model(model).hash
    matrix = (np.eye(len(load_model(model).spec.classes), dtype=int) * 9 + 1).tolist()
    scores = validated / "evaluation" / "validation" / "metrics.json"
    scores.parent.mkdir(parents=True)
    scores.write_text(json.dumps({"per_scene": {name: {"confusion": matrix} for name in "abc"}}))
    notes = Notes()
    predict(validated, [scene], tmp_path / "out", say=notes)
    assert not notes.said("is there already")
    predict(validated, [scene], tmp_path / "out", say=notes)
    assert notes.said("is there already")


def test_the_first_of_several_processes_chooses_the_engine(tmp_path):
    folder = work.WorkFolder(tmp_path, "city", work.Recipe("m", "s", {}, "auto"))
    assert folder.engine() is None
    assert folder.begin("torch-bfloat16") == "torch-bfloat16"
    assert folder.begin("torch-float32") == "torch-bfloat16"
    assert [p.name for p in folder.folder.iterdir()] == ["plan.json"]


def test_engines_are_tried_once_for_all_scenes(model, tmp_path, monkeypatch):
    monkeypatch.setattr(EngineMaker, "candidates", lambda maker: ["torch-float32", "torch-bfloat16"])
    scenes = [write_scene(tmp_path / f"{name}.tif", height=50, width=50) for name in ("north", "south")]
    notes = Notes()
    tallies = predict(model, scenes, tmp_path / "out", say=notes)
    assert len(tallies) == 2
    assert len([line for line in notes.lines if "of the classes as with torch" in line]) == 2


def test_an_engine_that_is_not_there_is_told_before_depth_is_made(model, scene, tmp_path, monkeypatch):
    monkeypatch.setattr("reliefseg.inference.choosing.find_spec", lambda name: None if name == "openvino" else "there")
    monkeypatch.setattr("reliefseg.workflow.predicting.prepared", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(InputError, match="engine 'openvino': is not installed here"):
        predict(model, [scene], tmp_path, engine="openvino")


def test_the_tally_is_machine_readable(model, scene, tmp_path, capsys):
    assert command(["predict", str(model), str(scene), "-o", str(tmp_path), "--json", "--quiet"]) == 0
    (tally,) = json.loads(capsys.readouterr().out)["scenes"]
    assert tally["megapixels"] == HEIGHT * WIDTH / 1e6
    assert tally["windows"] + tally["windows_skipped"] > 0
    assert tally["engine"].startswith("torch-")
    assert tally["megapixels_per_second"] == pytest.approx(tally["megapixels"] / tally["seconds"], rel=0.05)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (48, 48), (49, 1)])
def test_scenes_smaller_than_a_window_work(model, tmp_path, height, width):
    scene = write_scene(tmp_path / "tiny.tif", height=height, width=width)
    (tally,) = predict(model, [scene], tmp_path / "out")
    with rasterio.open(tally["files"]["classes"]) as found:
        assert found.shape == (height, width)


def test_a_scene_without_a_valid_pixel_gives_nodata_and_runs_no_network(model, tmp_path):
    scene = write_scene(tmp_path / "empty.tif")
    with rasterio.open(scene, "r+") as file:
        file.write(np.zeros((2, HEIGHT, WIDTH), np.uint8))
    (tally,) = predict(model, [scene], tmp_path / "out")
    with rasterio.open(tally["files"]["classes"]) as found:
        assert (found.read(1) == 255).all()
    assert tally["windows"] == 0


def test_without_georeferencing_it_works_too(model, tmp_path):
    plain = tmp_path / "plain.png"
    pixels = np.random.default_rng(0).integers(0, 255, (2, 60, 90), dtype=np.uint8)
    with (
        quiet_georeferencing(),
        rasterio.open(plain, "w", driver="PNG", height=60, width=90, count=2, dtype="uint8") as file,
    ):
        file.write(pixels)
    notes = Notes()
    (tally,) = predict(model, [plain], tmp_path / "out", say=notes)
    assert notes.said("does not say how large its pixels are")
    assert notes.said("plain: areas in m² are unknown: the scene has no CRS")
    with quiet_georeferencing(), rasterio.open(tally["files"]["classes"]) as found:
        assert found.crs is None
    stated_notes = Notes()
    (stated,) = predict(model, [plain], tmp_path / "stated", gsd=0.2, say=stated_notes)
    assert stated["windows"] > tally["windows"]
    assert not stated_notes.said("areas in m²")


def test_depth_of_a_scene_of_unknown_gsd_is_made_at_the_models(tmp_path):
    deep = {"depth": DepthSettings(source="builtin", turns=1), "mean": (100.0, 110.0, 0.2), "std": (50.0, 40.0, 0.1)}
    model = load_model(save_model(tmp_path / "model", reference_gsd=0.3, **deep), cache=tmp_path / "cache")
    image = write_scene(tmp_path / "plain.tif", height=60, width=70)
    with quiet_georeferencing(), rasterio.open(image, "r+") as file:
        file.crs = rasterio.CRS()
    scene = model.open(image)
    work = scene_work.prepared(model, scene, tmp_path, Wanted(), "torch", Notes())
    assert work.scene.grid.gsd is None
    with rasterio.open(work.source.depth) as raster:
        assert raster.tags()["depth_gsd"] == "0.3 known"
    depth = model.read(scene).depth
    np.testing.assert_array_equal(depth, model.read(model.open(image, gsd=0.3)).depth)
    np.testing.assert_array_equal(depth, read_depth(work.source.depth))
    assert not scene_work.prepared(model, scene, tmp_path, Wanted(), "torch", Notes()).folder.unlike()


def test_a_scene_that_ends_early_is_one_message_that_says_where(model, tmp_path, capsys):
    scene = write_scene(tmp_path / "cut.tif", height=600, width=600)
    content = scene.read_bytes()
    scene.write_bytes(content[: len(content) // 2])
    assert command(["predict", str(model), str(scene), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "scene cut: rows" in said
    assert "does the file end early?" in said
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_pixels_much_larger_than_the_models_are_warned_about(model, tmp_path):
    notes = Notes()
    predict(model, [write_scene(tmp_path / "coarse.tif", gsd=0.2, height=50, width=50)], tmp_path / "out", say=notes)
    assert notes.said("warning: scene coarse: pixels of 0.2 m, the model learnt from 0.1 m")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--shard", "5/4"], "expected I/N with I from 1 to N"),
        (["--shard", "half"], "expected I/N with I from 1 to N"),
        (["--gsd", "0"], "--gsd"),
    ],
)
def test_wrong_options_are_one_message(model, scene, tmp_path, capsys, more, message):
    assert command(["predict", str(model), str(scene), "-o", str(tmp_path), *more]) == 2
    assert message in capsys.readouterr().err


def test_a_model_for_other_bands_is_refused_before_anything_is_written(model, tmp_path, capsys):
    scene = write_scene(tmp_path / "rgb.tif", bands=3)
    assert command(["predict", str(model), str(scene), "-o", str(tmp_path / "out")]) == 2
    assert "the image has 3 bands, expected are 2 (" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_before_it_is_full(model, scene, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(work.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(InputError, match=r"the disk is too full for scene city: 0\.3 MB are needed"):
        predict(model, [scene], tmp_path / "out")
    with pytest.raises(InputError, match=r"0\.4 MB are needed"):
        predict(model, [scene], tmp_path / "out", Wanted(probabilities=True))


def test_a_disk_that_fills_up_is_one_message(model, scene, tmp_path, monkeypatch, capsys):
    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert command(["predict", str(model), str(scene), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    assert "make space or choose another place" in capsys.readouterr().err


def test_pixels_unlike_those_learnt_from_are_said(model, scene, tmp_path):
    notes = Notes()
    predict(model, [scene], tmp_path / "out", say=notes)
    assert not notes.said("another bit depth")
    assert notes.said("areas have no intervals: they take two validation scenes, this model was evaluated on none")
    with rasterio.open(scene) as dataset:
        profile, data = dataset.profile, dataset.read().astype(np.uint16)
    with rasterio.open(tmp_path / "city16.tif", "w", **{**profile, "dtype": "uint16"}) as dataset:
        dataset.write(data * 256)
    predict(model, [tmp_path / "city16.tif"], tmp_path / "out", say=notes)
    assert notes.said("warning: scene city16: its band red has ")


def test_places_gdal_knows_are_taken_as_they_are():
    remote = ["https://host/a/b.tif", "/vsis3/bucket/c.tif", "s3://bucket/d.tif"]
    assert [p.stem for p in find_scenes(remote)] == ["b", "c", "d"]


def test_globs_pass_over_hidden_files_and_folders(tmp_path, monkeypatch):
    paths = [tmp_path / ".me" / name for name in ("a.tif", "b/c.tif", "._a.tif", ".reliefseg/depth/a.tif")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_scenes([f"{tmp_path}/.me/**/*.tif"]) == paths[:2]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert find_scenes(["../.me/**/*.tif"]) == [Path("../.me/a.tif"), Path("../.me/b/c.tif")]


def test_two_slashes_behind_a_virtual_file_system_are_kept(tmp_path, scene, monkeypatch):
    zipped = shutil.make_archive(str(tmp_path / "scenes"), "zip", scene.parent)
    packed = tmp_path / "city.tif.gz"
    packed.write_bytes(gzip.compress(scene.read_bytes()))
    monkeypatch.chdir(tmp_path)
    for found in find_scenes([f"/vsizip/{zipped}/city.tif", f"/vsigzip/{packed}"]):
        assert read_header(found).grid.width == WIDTH


def test_scenes_are_read_through_gdals_virtual_file_systems(model, scene, tmp_path):
    zipped = shutil.make_archive(str(tmp_path / "scenes"), "zip", scene.parent)
    inside = f"/vsizip/{{{zipped}}}/city.tif"
    (tally,) = predict(model, find_scenes([inside]), tmp_path / "out")
    (plain,) = predict(model, [scene], tmp_path / "plain")
    assert Path(tally["files"]["classes"]).read_bytes() == Path(plain["files"]["classes"]).read_bytes()


def test_progress_tells_megapixels_a_second_and_time_left(capsys):
    with Teller(quiet=False).progress("city, megapixels") as tick:
        tick(300, 1000)
    assert re.search(r"city, megapixels: 300 of 1,000, \S+ a second, 0 s, 0 s left", capsys.readouterr().err)


def test_so_does_the_bar_on_a_terminal():
    teller, drawn = Teller(quiet=False), io.StringIO()
    teller.console = Console(file=drawn, force_terminal=True, width=120)
    with teller.progress("city, megapixels") as tick:
        tick(300, 1000)
    assert re.search(r"city, megapixels.*300/1000.* a second.*left:", drawn.getvalue())
