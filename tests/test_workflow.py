"""The main job end to end on small generated scenes, through the command line, and what may go wrong."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import load_file

import reliefseg
from reliefseg.cli import run as command
from reliefseg.config import load_settings
from reliefseg.depth.builtin import SHIPPED
from reliefseg.errors import InputError
from reliefseg.generate import GenerateSettings, generate_dataset
from reliefseg.learning.run_folder import NoLog, log_lines
from reliefseg.networks import SMALL as SMALL_U2NET
from reliefseg.networks import U2Net
from reliefseg.raster import IGNORE_INDEX, Grid, load_dataset
from reliefseg.raster.files import hash_file
from reliefseg.tiles import SceneArrays
from reliefseg.workflow import HeightFiles, evaluate, evaluating, find_scenes, load_model, predict, training
from reliefseg.workflow.held_out_block import split_off_block
from reliefseg.workflow.preparing import prepare
from reliefseg.workflow.record import data_summary, refuse_changed
from reliefseg.workflow.settling import settled
from reliefseg.workflow.starting_weights import start_from_official
from test_predicting import save_model

SMALL = ["--preset", "debug", "--set", "train.steps=10", "--set", "pretrain.steps=2", "--set", "tiles.size=32"]
SMALL += ["--set", "prediction.window=64", "--set", "train.validations=2", "--quiet"]
QUICK = [*SMALL, "--set", "network.name=unet-small"]
"""For what is the same whichever network learns: half the time."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "data"
    return generate_dataset(out, GenerateSettings(scenes=5, size=96, gsd=0.3, seed=3))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    assert command(["run", str(data), "-o", str(run), *SMALL]) == 0
    return run


def changed(data, tmp_path, splits):
    """A copy of the data set with other splits."""
    copy = tmp_path / "copy"
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns(".reliefseg"))
    text = (copy / "dataset.toml").read_text(encoding="utf-8")
    head = text[: text.index("[splits]")]
    lines = "".join(f"{name} = {json.dumps(scenes)}\n" for name, scenes in splits.items())
    (copy / "dataset.toml").write_text(f"{head}[splits]\n{lines}", encoding="utf-8")
    return copy


def model_of(run):
    return load_file(run / "model" / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_run_leaves_what_the_design_says(trained):
    for name in ("config.toml", "environment.json", "log.jsonl", "report.html", "model/config.json", "events"):
        assert (trained / name).exists(), name
    metrics = json.loads((trained / "evaluation" / "test" / "metrics.json").read_text())
    for key in ("scenes", "classes", "confusion", "iou", "mean_iou", "eroded", "per_scene", "original", "seconds"):
        assert key in metrics, key
    assert metrics["tiles_seen"]["train"] == 10 * 2
    assert sorted(p.name for p in (trained / "progress").iterdir()) == ["010.png", "025.png", "050.png", "100.png"]
    assert not [p for p in trained.rglob(".*") if p.name != ".lock"]
    events = [json.loads(x) for x in (trained / "log.jsonl").read_text().splitlines()]
    assert sum(e["event"] == "validation" and e["phase"] == "train" for e in events) == 2
    calibration, temperature = metrics["calibration"], load_model(trained).spec.temperature
    assert set(calibration) == {"expected_calibration_error", "bins", "temperature"}
    assert sum(one["pixels"] for one in calibration["bins"]) == np.sum(metrics["confusion"])
    assert calibration["temperature"] == temperature != 1
    assert any(e["event"] == "note" and f"temperature {temperature:.3g}, fitted on" in e["text"] for e in events)


def test_reading_the_test_split_is_counted(data, trained, capsys):
    before = json.loads((trained / "evaluation" / "test" / "metrics.json").read_text())["readings"]
    assert command(["evaluate", str(trained), str(data), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["readings"] == before + 1


def test_a_reading_that_is_broken_off_is_counted(data, trained, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    monkeypatch.setattr(evaluating, "count_reliability", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    before = json.loads((run / "evaluation" / "test" / "readings.json").read_text())["readings"]
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, load_dataset(data))
    assert json.loads((run / "evaluation" / "test" / "readings.json").read_text())["readings"] == before + 1


def test_scoring_scenes_that_were_learnt_from_is_said(data, trained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    unseen = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    assert unseen["learnt_from"] == []
    shutil.rmtree(run / "evaluation")
    assert command(["evaluate", str(run), str(data), "--split", "pixel_labelled", "--json"]) == 0
    out, err = capsys.readouterr()
    metrics = json.loads(out)
    assert metrics["learnt_from"] == metrics["scenes"]
    assert "warning: the networks learnt from" in err
    assert "Measure it on scenes it never saw" in (run / "report.html").read_text()


@pytest.mark.parametrize(("split", "key"), [("pixel_labelled", "learnt_from"), ("validation", "picked_on")])
def test_scenes_that_a_run_has_read_are_known_under_other_names(data, trained, tmp_path, capsys, split, key):
    """Moved to split test of a data set called otherwise, which the page must not call unseen."""
    run, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(trained, run)
    shutil.copytree(data, other, ignore=shutil.ignore_patterns(".reliefseg"))
    (name, *_) = load_dataset(data).splits[split]
    for file in other.glob(f"*/{name}.tif"):
        file.rename(file.with_name("new.tif"))
    text = (other / "dataset.toml").read_text(encoding="utf-8").replace('name = "generated"', 'name = "another"')
    (other / "dataset.toml").write_text(f'{text[: text.index("[splits]")]}[splits]\ntest = ["new"]\n', encoding="utf-8")
    assert command(["evaluate", str(run), str(other), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {k: found[k] for k in ("learnt_from", "picked_on")} == {"learnt_from": [], "picked_on": [], key: ["new"]}
    assert "warning: " in err
    page = (run / "report.html").read_text()
    assert "training never read" not in page
    assert ("chosen on scenes of this split" in page) == (key == "picked_on")


def test_scenes_of_unknown_gsd_are_scored_with_depth_at_the_models(data, trained, monkeypatch):
    """As `predict` makes it."""
    dataset, seen = load_dataset(data), []
    bare = {name: replace(scene, grid=Grid(96, 96)) for name, scene in dataset.scenes.items()}

    def caught(scenes, *more):
        seen.extend(scene.grid.gsd for scene in scenes)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluating, "refuse_unscored", lambda dataset, split: None)
    monkeypatch.setattr(evaluating, "depth_rasters", caught)
    with pytest.raises(KeyboardInterrupt):
        evaluate(trained, replace(dataset, scenes=bare))
    assert seen == [pytest.approx(0.3)]


def test_predicted_maps_lie_on_the_scenes_own_grid(data, trained, tmp_path, capsys):
    scene = load_dataset(data).split("test")[0]
    heights = ["--heights", str(data / "heights" / "{scene}.tif"), "--ground", str(data / "ground" / "{scene}.tif")]
    assert command(["predict", str(trained), str(scene.image), "-o", str(tmp_path / "maps"), *heights, "--quiet"]) == 0
    path = tmp_path / "maps" / scene.name / "classes.tif"
    assert str(path) in capsys.readouterr().out.splitlines()
    with rasterio.open(path) as found, rasterio.open(scene.image) as image:
        assert (found.crs, found.transform, found.shape) == (image.crs, image.transform, image.shape)
        assert found.nodata == 255
        assert found.colormap(1)[1][:3] == (0, 0, 255)
        class_ids = found.read(1)
    assert class_ids.max() < 5
    truth = json.loads((trained / "evaluation" / "test" / "metrics.json").read_text())["per_scene"]
    counted = np.array(truth[scene.name]["confusion"]).sum(axis=0)
    labels = scene.read_labels()
    np.testing.assert_array_equal(np.bincount(class_ids[labels != 255], minlength=5), counted)


def test_a_notebook_needs_few_names(data, trained):
    model = reliefseg.load_model(trained)
    scene = reliefseg.load_dataset(data).split("test")[0]
    files = HeightFiles(str(data / "heights" / "{scene}.tif"), str(data / "ground" / "{scene}.tif"))
    probabilities = model.probabilities(scene.image, files)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(model.predict(scene.image, files), probabilities.argmax(axis=0))
    assert callable(reliefseg.train)
    assert callable(reliefseg.evaluate)


def test_nothing_of_the_test_scenes_nor_label_pixels_of_tile_labelled_ones_reaches_the_weights(data, trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns(".reliefseg"))
    dataset, rng = load_dataset(copy), np.random.default_rng(0)
    for scene in dataset.split("test"):
        for path in (scene.image, scene.heights):
            with rasterio.open(path, "r+") as file:
                noise = rng.integers(0, 200, (file.count, *file.shape)).astype(file.dtypes[0])
                file.write(noise)
    for label in dataset.tile_labels():
        path = dataset.scenes[label.scene].labels
        with rasterio.open(path, "r+") as file:
            rows, cols = label.window.slices
            everything = file.read()
            tile = everything[:, rows, cols].reshape(file.count, -1)
            everything[:, rows, cols] = rng.permutation(tile, axis=1).reshape(everything[:, rows, cols].shape)
            file.write(everything)
    assert command(["train", str(copy), "-o", str(tmp_path / "run"), *SMALL]) == 0
    assert same(model_of(trained), model_of(tmp_path / "run"))
    described = [(run / "model" / "config.json").read_text() for run in (trained, tmp_path / "run")]
    assert described[0] == described[1], "the temperature is part of the model"


def begun(arguments, seen, signals):
    """Runs a command, sends it signals as soon as `seen()`, and returns its status and what it said."""
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored in a shell's background
        "from reliefseg.cli import main; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not seen() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.02)
    return process.communicate()[1], process.returncode


def test_killed_and_resumed_is_the_run_never_interrupted(data, trained, tmp_path):
    """Killed outright while it writes a checkpoint, and again later; --resume ends in the same weights."""
    run = tmp_path / "run"
    more = ["--set", "train.checkpoint_minutes=0.0001", "--set", "train.steps=8"]
    begin = ["train", str(data), "-o", str(run), *QUICK, *more]
    checkpoints = run / "checkpoints"
    begun(begin, lambda: list(checkpoints.glob(".train-*.partial")), [signal.SIGKILL])
    begun([*begin, "--resume"], lambda: list(checkpoints.glob("train-000000[4-8]")), [signal.SIGKILL])
    assert not (run / "model").exists()
    assert command(["train", str(data), "-o", str(run), "--resume", "--quiet"]) == 0
    whole = tmp_path / "whole"
    assert command(["train", str(data), "-o", str(whole), *QUICK, *more]) == 0
    assert same(model_of(run), model_of(whole))


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_an_interruption_ends_with_130_and_says_how_to_go_on(data, tmp_path, signals):
    run = tmp_path / "run"
    begin = ["train", str(data), "-o", str(run), *QUICK, "--set", "train.steps=5000"]
    said, status = begun(begin, lambda: list((run / "checkpoints").glob("pretrain-*")), signals)
    assert status == 130
    assert "Traceback" not in said
    assert "--resume" in said
    assert not (run / "model").exists()


def test_several_processes_train_one_model(data, tmp_path):
    """Two on the CPU: one log, shared validation, one model; boxes and steps are those of one process."""
    run, alone = tmp_path / "two", tmp_path / "one"
    more = [*QUICK, "--set", "train.steps=4", "--set", "device=cpu"]
    assert command(["train", str(data), "-o", str(run), *more, "--devices", "2"]) == 0
    assert command(["train", str(data), "-o", str(alone), *more]) == 0
    lines = [[json.loads(x) for x in (r / "log.jsonl").read_text().splitlines()] for r in (run, alone)]
    told = [[(x["phase"], x["event"], x.get("step")) for x in log if x["event"] != "timing"] for log in lines]
    assert told[0] == told[1]
    first = [next(x for x in log if x["phase"] == "train" and "fused" in x) for log in lines]
    assert first[0]["fused"] == pytest.approx(first[1]["fused"], rel=0.05)
    assert json.loads((run / "environment.json").read_text())["processes"] == 2
    assert model_of(run).keys() == model_of(alone).keys()
    assert command(["evaluate", str(run), str(data), "--quiet"]) == 0


def test_what_cannot_be_shared_by_processes_is_refused(data, tmp_path, capsys):
    arguments = ["train", str(data), "-o", str(tmp_path / "run"), *SMALL, "--set", "device=cpu"]
    assert command([*arguments, "--devices", "2", "--set", "train.batch=3"]) == 2
    assert "train.batch: 3 tiles a step cannot be shared by 2 processes" in capsys.readouterr().err
    assert command([*arguments, "--devices", "4096"]) == 2
    assert "devices: 4096 wanted" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    idle = load_settings("debug", None, ["device=cpu", "devices=2", "pretrain.batch=3", "pretrain.steps=0"])
    assert settled(tmp_path, idle, resume=False)[1].devices == 2, "what is not done needs no sharing"


def test_files_that_settings_name_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "dpt").mkdir()
    named = ["network.weights=~/u2net.safetensors", "depth.weights=own.safetensors"]
    settings = settled(tmp_path, load_settings("debug", None, [*named, "depth.model=dpt"]), resume=False)[0]
    assert settings.network.weights == str(tmp_path / "u2net.safetensors")
    assert (settings.depth.weights, settings.depth.model) == (str(tmp_path / "own.safetensors"), str(tmp_path / "dpt"))
    hub = settled(tmp_path, load_settings("debug", None, ["depth.model=owner/dpt"]), resume=False)[0]
    assert (hub.depth.model, hub.depth.weights, hub.network.weights) == ("owner/dpt", None, None)


def test_official_weights_as_the_authors_ship_them_are_refused(tmp_path):
    torch.save({}, tmp_path / "u2netp.pth")
    with pytest.raises(InputError, match=r"network.weights: .*u2netp.pth is no .safetensors file"):
        start_from_official(U2Net(3, 1, SMALL_U2NET), tmp_path / "u2netp.pth", NoLog())


def test_a_second_run_into_the_same_folder_is_refused(data, trained, capsys):
    assert command(["train", str(data), "-o", str(trained), *SMALL]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_a_start_that_was_refused_stands_in_no_way(data, tmp_path, capsys, monkeypatch):
    arguments = ["train", str(data), "-o", str(tmp_path / "run"), *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("reliefseg.learning.memory.free_memory", lambda device: 10**6)
        assert command([*arguments, "--set", "device=cpu"]) == 2
    told = capsys.readouterr().err
    assert "not one tile a process fits" in told
    assert "setting train.batch" in told, "before pretraining, which settles the settings"
    with monkeypatch.context() as patch:
        patch.setattr(training, "prepare", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert command(arguments) == 130
    assert "nothing was learnt yet: give the same command again" in capsys.readouterr().err
    assert command([*arguments, "--resume"]) == 2, "not with the settings that were refused"
    assert "nothing to resume" in capsys.readouterr().err
    assert command(arguments) == 0


def test_a_run_goes_on_with_the_data_it_was_begun_with(data, tmp_path, capsys):
    copy = changed(data, tmp_path, {"pixel_labelled": ["town_000"], "validation": ["town_003"], "test": ["town_004"]})
    run = tmp_path / "run"
    assert command(["train", str(copy), "-o", str(run), *QUICK]) == 0
    again = ["train", str(copy), "-o", str(run), "--resume", "--quiet"]
    text = (copy / "dataset.toml").read_text(encoding="utf-8")
    (copy / "dataset.toml").write_text(text.replace('test = ["town_004"]', 'test = ["town_002"]'), encoding="utf-8")
    assert command(again) == 0, "the test split is nothing that is learnt from"
    (copy / "dataset.toml").write_text(text.replace("town_000", "town_001"), encoding="utf-8")
    assert command(again) == 2
    assert "was begun on other data" in capsys.readouterr().err


def test_what_is_scored_and_made_of_a_model_stays_when_a_finished_run_goes_on(data, trained, tmp_path, capsys):
    run, data = tmp_path / "run", shutil.copytree(data, tmp_path / "data")
    shutil.copytree(trained, run)
    assert command(["run", str(data), "-o", str(run), "--resume", "--quiet"]) == 0  # other tests may have scored it
    (run / "model" / "int8").mkdir()
    before = json.loads((run / "evaluation" / "test" / "readings.json").read_text())
    assert command(["run", str(data), "-o", str(run), "--resume", "--set", "train.steps=99"]) == 0
    told = capsys.readouterr().err
    assert "test is scored already, with this model on these scenes" in told
    assert "config.toml; --preset, --config, --set, --devices and --nodes are not read again" in told
    assert "steps, about" not in told, "how long it will take, where nothing is left to do"
    assert json.loads((run / "evaluation" / "test" / "readings.json").read_text()) == before
    assert (run / "model" / "int8").is_dir()
    (run / "evaluation" / "test" / "metrics.json").write_text("{}")  # evaluate on other scenes writes there too
    assert command(["run", str(data), "-o", str(run), "--resume", "--quiet"]) == 0
    assert json.loads((run / "evaluation" / "test" / "metrics.json").read_text())["scenes"] == ["town_004"]
    before = json.loads((run / "evaluation" / "test" / "readings.json").read_text())
    with rasterio.open(data / "labels" / "town_004.tif", "r+") as file:
        file.write(np.flip(file.read(), axis=2))
    assert command(["run", str(data), "-o", str(run), "--resume", "--quiet"]) == 0
    assert json.loads((run / "evaluation" / "test" / "readings.json").read_text()) != before


def test_scenes_that_pick_the_encoder_teach_in_training(tmp_path):
    made = generate_dataset(tmp_path / "made", GenerateSettings(scenes=6, size=96, gsd=0.3))
    towns = [f"town_{n:03}" for n in range(6)]
    dataset = load_dataset(changed(made, tmp_path, {"pixel_labelled": towns[:1], "tile_labelled": towns[1:]}))
    both = []
    for steps in (2, 0):
        settings = load_settings("debug", None, ["tiles.size=32", "depth.source=none", f"pretrain.steps={steps}"])
        settings = settings.model_copy(update={"train": load_settings("cpu", None, []).train})
        both.append(prepare(dataset, settings, torch.device("cpu")))
    with_it, without = both
    assert len(with_it.lessons) == len(without.lessons) == with_it.tile_labels
    assert with_it.lessons.shown.tolist() == without.lessons.shown.tolist()
    assert len(with_it.tiles) + len(with_it.held_out) == with_it.tile_labels
    assert 0 < len(with_it.held_out) < len(with_it.tiles)
    assert without.held_out is None


def test_other_labels_are_noticed_though_all_their_numbers_are_the_same(data, tmp_path):
    splits = {"pixel_labelled": ["town_000"], "tile_labelled": ["town_001"], "validation": ["town_003"]}
    copy = changed(data, tmp_path, splits)
    settings = load_settings("debug", None, ["tiles.size=32", "depth.source=none"])
    toml = copy / "dataset.toml"
    text = toml.read_text(encoding="utf-8")

    def summary():
        dataset = load_dataset(copy)
        return data_summary(dataset, prepare(dataset, settings, torch.device("cpu")))

    before = summary()
    refuse_changed(before, summary(), tmp_path)
    refuse_changed({k: v for k, v in before.items() if k != "digests"}, before, tmp_path)
    toml.write_text(text.replace("min_share = 0.005", "min_share = 0.3"), encoding="utf-8")
    other = summary()
    assert {**other, "digests": before["digests"]} == before
    with pytest.raises(InputError, match=r"begun on other data \(other tile labels\)"):
        refuse_changed(before, other, tmp_path)
    toml.write_text(text, encoding="utf-8")
    with rasterio.open(copy / "labels" / "town_000.tif", "r+") as file:
        colours = file.read()
        row, col = np.argwhere((colours != colours[:, :1, :1]).any(0))[0]
        colours[:, 0, 0], colours[:, row, col] = colours[:, row, col].copy(), colours[:, 0, 0].copy()
        file.write(colours)
    other = summary()
    assert {**other, "digests": before["digests"]} == before
    with pytest.raises(InputError, match=r"begun on other data \(other labels\)"):
        refuse_changed(before, other, tmp_path)


def test_a_model_knows_the_depth_network_it_learnt_with(data, tmp_path, monkeypatch):
    copy = changed(data, tmp_path, {"pixel_labelled": ["town_000"]})
    settings = load_settings("debug", None, ["tiles.size=32", "depth.source=builtin"])
    spec = prepare(load_dataset(copy), settings, torch.device("cpu")).spec
    assert spec.depth_weights == hash_file(SHIPPED)
    model = save_model(tmp_path / "model", **spec.model_dump(include={"depth_weights"}), depth=spec.depth)
    assert load_model(model).spec.depth_weights == spec.depth_weights
    other = tmp_path / "other.safetensors"
    other.write_bytes(SHIPPED.read_bytes() + b" ")
    monkeypatch.setattr("reliefseg.depth.builtin.SHIPPED", other)
    with pytest.raises(InputError, match=r"with depth by weights \w{12}, those of this version of reliefseg are"):
        load_model(model)
    other.unlink()
    with pytest.raises(InputError, match=r"of this version of reliefseg cannot be had: .* bring back that file"):
        load_model(model)
    older = json.loads((model / "config.json").read_text())
    del older["depth_weights"]
    (model / "config.json").write_text(json.dumps(older | {"format": 2}))
    assert load_model(model).spec.depth_weights is None


def test_the_time_of_a_run_is_that_of_all_its_legs(data, tmp_path):
    """What was done before it was killed counts; what was lost to it does not."""
    run = tmp_path / "run"
    begin = ["train", str(data), "-o", str(run), *QUICK]
    begin += ["--set", "train.checkpoint_minutes=0.0001", "--set", "train.steps=6"]
    begun(begin, lambda: list((run / "checkpoints").glob("train-0000002")), [signal.SIGKILL])
    newest = max((run / "checkpoints").glob("train-*"))
    before = json.loads((newest / "state.json").read_text())["values"]["seconds"]
    assert command([*begin, "--resume"]) == 0
    times = [x for x in log_lines(run) if x["event"] == "timing" and x["part"] == "training and validation"]
    assert len(times) == 1
    assert times[0]["seconds"] > before > 0


def test_a_run_folder_in_use_is_refused(data, tmp_path, capsys):
    from reliefseg.learning.run_folder import held

    with held(tmp_path / "run"):
        assert command(["train", str(data), "-o", str(tmp_path / "run"), *SMALL]) == 2
    assert "in use by another process" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]


def test_without_validation_the_last_average_is_the_result_and_that_is_said(data, tmp_path):
    copy = changed(data, tmp_path, {"pixel_labelled": ["town_000"], "test": ["town_004"]})
    assert command(["run", str(copy), "-o", str(tmp_path / "run"), *QUICK]) == 0
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "nothing is picked" in log
    assert "pretraining is left out" in log
    assert load_model(tmp_path / "run").spec.temperature == 1


def test_a_quarter_of_the_labelled_scenes_can_validate(data, tmp_path):
    copy = changed(data, tmp_path, {"pixel_labelled": ["town_000", "town_001"]})
    more = ["--set", "validation.blocks=true"]
    assert command(["train", str(copy), "-o", str(tmp_path / "run"), *QUICK, *more]) == 0
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "a quarter of each pixel-labelled scene's labels" in log
    assert '"event": "validation"' in log
    assert load_model(tmp_path / "run").spec.temperature != 1


def test_a_quarter_without_labels_never_validates():
    labels = np.full((8, 8), IGNORE_INDEX, np.uint8)
    labels[:4, :4], labels[:4, 4:], labels[4:, :4] = 0, 1, 2
    arrays = SceneArrays(np.zeros((1, 8, 8), np.uint8), labels < 9, labels)
    learnt, held = split_off_block(arrays, 0, 3)
    assert (held.labels < 3).sum() == 16
    assert (learnt.labels < 3).sum() == 32


def split_labels(labels, margin):
    arrays = SceneArrays(np.zeros((1, *labels.shape), np.uint8), np.ones(labels.shape, bool), labels)
    return [part.labels < 3 for part in split_off_block(arrays, margin, 3)]


def test_training_keeps_most_labels_of_a_partly_labelled_scene():
    """A corner that holds all labels, or most of them, is not what validates: it would leave nothing to learn from."""
    corner = np.full((64, 64), IGNORE_INDEX, np.uint8)
    corner[:24, :24] = 1
    learnt, held = split_labels(corner, 2)
    assert (learnt.sum(), held.sum()) == (24**2 - 14**2, 12**2)
    uneven = corner.copy()
    uneven[60:, 60:] = 1
    learnt, held = split_labels(uneven, 2)
    assert (learnt.sum(), held.sum()) == (24**2, 4**2)


@pytest.mark.parametrize("labelled", [slice(0, 24), slice(0, 1), slice(0, 0)])
def test_a_scene_with_too_few_labels_to_spare_validates_nothing(labelled):
    labels = np.full((64, 64), IGNORE_INDEX, np.uint8)
    labels[labelled, labelled] = 1
    learnt, held = split_labels(labels, 32)
    assert np.array_equal(learnt, labels < 3)
    assert not held.any()


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"test": ["town_004"]}, "no scene in splits.pixel_labelled"),
        ({"pixel_labelled": ["town_009"]}, "town_009"),
        ({"pixel_labelled": ["town_000"], "test": ["town_000"]}, "town_000"),
    ],
)
def test_wrong_splits_are_refused(data, tmp_path, capsys, splits, message):
    copy = changed(data, tmp_path, splits)
    assert command(["run", str(copy), "-o", str(tmp_path / "run"), *SMALL]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "DATA", "-o", "RUN", "--preset", "nothing"], "preset 'nothing': unknown"),
        (["train", "DATA", "-o", "RUN", "--set", "train.stepz=3"], "did you mean train.steps"),
        (["train", "DATA", "-o", "RUN", "--preset", "debug", "--set", "device=cuda"], "sees no GPU"),
        (["train", "DATA", "-o", "RUN", "--resume"], "nothing to resume"),
        (["train", "NOWHERE", "-o", "RUN", "--preset", "debug"], "NOWHERE"),
        (["evaluate", "NOWHERE", "DATA"], "no model here"),
        (["evaluate", "TRAINED", "DATA", "--split", "exam"], "no split 'exam'"),
        (["predict", "TRAINED", "NOWHERE.tif", "-o", "RUN"], "no scene here"),
        (["predict", "TRAINED", "DATA/images", "-o", "RUN"], "the model needs heights"),
        (["predict", "TRAINED", "DATA/**.tif", "-o", "RUN"], "no glob"),
        (["predict", "TRAINED", "DATA/images", "-o", "RUN", "--ndsm"], "say more of --heights"),
        (["depth", "fit", "DATA"], "the file to write comes first"),
        (["depth", "fit", "."], "the file to write comes first"),
        (["predict", "TRAINED", "DATA/heights", "-o", "RUN", "--heights", "DATA/heights/{scene}.tif"], "bands"),
        (["fly"], "No such command"),
        (["train", "DATA"], "Missing option"),
    ],
)
def test_wrong_input_is_one_message_and_status_2(data, trained, tmp_path, capsys, arguments, message):
    places = {"DATA": str(data), "TRAINED": str(trained), "NOWHERE": str(tmp_path / "NOWHERE")}
    places["RUN"] = str(tmp_path / "r")
    for word, place in places.items():
        arguments = [a.replace(word, place) for a in arguments]
    assert command(arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "r" / "config.toml").exists()


def test_a_damaged_model_is_refused(data, trained, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(trained, broken)
    weights = broken / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(broken)
    (broken / "model" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not a model of reliefseg"):
        load_model(broken)
    (broken / "model" / "config.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99"):
        load_model(broken)


def test_maps_never_overwrite_scenes_or_one_another(data, trained, tmp_path):
    heights = HeightFiles(str(data / "heights" / "{scene}.tif"))
    image = load_dataset(data).split("test")[0].image
    inside = tmp_path / image.stem / image.name
    inside.parent.mkdir()
    shutil.copy(image, inside)
    with pytest.raises(InputError, match="lies where its results would"):
        predict(trained, [inside], tmp_path, heights=heights)
    twin = tmp_path / image.name
    shutil.copy(image, twin)
    with pytest.raises(InputError, match="predict them into different folders"):
        predict(trained, [image, twin], tmp_path / "maps", heights=heights)


def test_scenes_are_found_as_files_folders_and_globs(data):
    by_folder = find_scenes([str(data / "images")])
    assert len(by_folder) == 5
    assert find_scenes([str(data / "images" / "*.tif"), str(by_folder[0])]) == by_folder


def test_check_says_no_with_status_1_and_others_refuse_with_2(data, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    labels = load_dataset(copy).scenes["town_000"].labels
    with rasterio.open(labels, "r+") as file:
        everything = file.read()
        everything[:, :2, :3] = 77
        file.write(everything)
    assert command(["check", str(data)]) == 0
    assert command(["check", str(copy)]) == 1
    assert "6 px" in capsys.readouterr().out
    assert command(["train", str(copy), "-o", str(tmp_path / "run"), *SMALL]) == 2
    assert "6 px" in capsys.readouterr().err


def test_python_runs_the_package():
    done = subprocess.run([sys.executable, "-m", "reliefseg", "check", "nowhere"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
