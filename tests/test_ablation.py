"""The ablation: what its rows switch, and whether it tells the truth."""

import json
import pickle
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from reliefseg.cli import run as command
from reliefseg.config import load_settings, settings_from
from reliefseg.depth import photo_bands
from reliefseg.depth.builtin import SHIPPED
from reliefseg.depth.heights import load_heights
from reliefseg.errors import InputError
from reliefseg.evaluation import SplitEvaluation
from reliefseg.evaluation.verdicts import notes_on_evidence
from reliefseg.networks import PackedU2Net, TileHead, UNet, build_generator, load_relief
from reliefseg.raster import IGNORE_INDEX, ClassTable, Grid, load_dataset, write_raster
from reliefseg.raster.classes import ClassSpec
from reliefseg.raster.files import write_json
from reliefseg.tiles import BoxLayout, TileSettings, draw_boxes
from reliefseg.workflow import (
    Ablation,
    LabelCurve,
    ablate,
    ablation,
    ablation_runs,
    evaluating,
    full_grid,
    label_curve,
    one_at_a_time,
)
from reliefseg.workflow.ablation import _not_counted
from reliefseg.workflow.ablation_factors import chosen, factors_of
from reliefseg.workflow.contents import contents_of
from reliefseg.workflow.evaluating import measure
from reliefseg.workflow.saying import SILENT, Silent


def layout_of(*shapes, classes=2, relative_gsd=None):
    labels = [np.random.default_rng(0).integers(0, classes, shape).astype(np.uint8) for shape in shapes]
    return BoxLayout(labels, classes, relative_gsd or [1.0] * len(labels))


GRID = TileSettings(size=32, centres="grid", box_factor=(1.0, 1.0))


def test_a_grid_of_boxes_is_drawn_evenly_and_lies_side_by_side():
    boxes = draw_boxes(layout_of((64, 100), (40, 40)), GRID, seed=0, step=0, count=4000)
    places = np.stack([boxes.scene, boxes.top, boxes.left], axis=1)
    found, counts = np.unique(places, axis=0, return_counts=True)
    expected = [(0, row, col) for row in (0, 32) for col in (0, 32, 64)] + [(1, 0, 0)]
    assert [tuple(one) for one in found] == expected
    assert counts.min() > 450
    assert set(boxes.height) == set(boxes.width) == {32.0}
    assert boxes.flip_rows.any()


def test_a_grid_leaves_out_what_is_not_labelled_and_shrinks_to_small_scenes():
    labels = np.full((64, 64), IGNORE_INDEX, np.uint8)
    labels[:32, 32:] = 1
    boxes = draw_boxes(BoxLayout([labels], 2, [1.0]), GRID, seed=0, step=3, count=50)
    assert set(zip(boxes.top, boxes.left, strict=True)) == {(0.0, 32.0)}
    tiny = draw_boxes(layout_of((20, 30)), GRID, seed=0, step=0, count=5)
    assert set(tiny.height) == {20.0}
    coarse = draw_boxes(layout_of((64, 64), relative_gsd=[2.0]), GRID, seed=0, step=0, count=50)
    assert set(coarse.height) == {16.0}


def test_a_grid_with_random_sizes_is_refused():
    with pytest.raises(InputError, match=r"centres = 'grid' needs box_factor \[1, 1\]"):
        settings_from({"tiles": {"centres": "grid"}})


@pytest.mark.parametrize("name", ["unet-small", "u2net-relief"])
@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_other_generators_offer_what_the_loop_needs(name, size):
    network = build_generator(name, 4, 3).eval()
    x = torch.randn(2, 4, *size)
    with torch.no_grad():
        output = network(x)
        assert output.fused.shape == (2, 3, *size)
        torch.testing.assert_close(network.fused(x), output.fused)
        deepest = network.encode(x)[-1]
    assert deepest.shape[1] == network.deepest_channels
    assert TileHead(network.deepest_channels, 3).eval()(deepest).shape == (2, 3)
    assert all(side.shape == output.fused.shape for side in output.sides)


@pytest.mark.parametrize(("plain", "other"), [("unet", "u2net"), ("unet-small", "u2net-small")])
def test_plain_unets_are_of_like_size(plain, other):
    with torch.device("meta"):
        sizes = [sum(p.numel() for p in build_generator(name, 4, 5).parameters()) for name in (plain, other)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_every_weight_of_other_generators_learns():
    for network in (UNet(3, 2, 4), PackedU2Net(3, 2)):
        output = network(torch.randn(2, 3, 64, 64))
        (output.fused.square().mean() + sum(side.square().mean() for side in output.sides)).backward()
        assert not [name for name, p in network.named_parameters() if p.grad is None]


def test_the_depth_networks_shape_starts_as_the_depth_network():
    """Shown the same photograph, with depth beside it, the maps are the depth network's; the head is its own."""
    heights = load_heights(SHIPPED)[0]
    network = build_generator("u2net-relief", 4, 3).eval()
    head = network.body.fuse.weight.clone()
    load_relief(network, heights.body.state_dict(), photo_bands(("nir", "red", "green")))
    photo, depth = torch.randn(1, 3, 64, 64), torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = heights.body.encode(torch.nn.functional.pixel_unshuffle(photo, 2))
        for mine, theirs in zip(network.encode(torch.cat([photo, depth], dim=1)), expected, strict=True):
            torch.testing.assert_close(mine, theirs)
    assert torch.equal(network.body.fuse.weight, head)


def test_other_shapes_cannot_start_as_the_depth_network():
    with pytest.raises(InputError, match=r"init = 'builtin' is for name = 'u2net-relief'.*take init = 'random'"):
        settings_from({"network": {"name": "u2net-small", "init": "builtin"}})


def made_up(folder, heights_of, scenes=8, side=64, splits=None):
    """Scenes whose two classes look alike; `heights_of(class ids, rng)` are their metres above ground."""
    grid = Grid(side, side)
    for i in range(scenes):
        rng = np.random.default_rng(i)
        ids = np.kron(rng.integers(0, 2, (side // 16, side // 16)), np.ones((16, 16))).astype(np.uint8)
        look = rng.normal(120, 20, ids.shape).clip(0, 255).astype(np.uint8)
        for kind, data in (("images", look), ("labels", ids), ("heights", heights_of(ids, rng).astype(np.float32))):
            write_raster(folder / kind / f"s{i}.tif", data, grid)
    named = splits or {"pixel_labelled": ["s0", "s1"], "validation": [f"s{i}" for i in range(2, scenes)]}
    text = 'name = "made up"\nbands = ["grey"]\ngsd = 0.5\n'
    text += "".join(f'[[classes]]\nname = "{name}"\nid = {i}\n' for i, name in enumerate(("low", "high")))
    text += '[files]\nimages = "images/{scene}.tif"\nlabels = "labels/{scene}.tif"\nheights = "heights/{scene}.tif"\n'
    text += 'heights_are = "ndsm"\n[splits]\n' + "".join(f"{k} = {json.dumps(v)}\n" for k, v in named.items())
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return folder


def telling(ids, rng):
    return np.where(ids == 1, 6.0, 0.0) + rng.normal(0, 0.5, ids.shape)


def noise(ids, rng):
    return rng.uniform(0, 8, ids.shape)


TINY = [
    "network.name=unet-small", "depth.source=raster", "depth.range_m=10", "tiles.size=32", "tiles.jitter=0",
    "pretrain.steps=0", "train.steps=30", "train.batch=4", "train.average=0", "train.validations=1",
    "train.loss.adversarial=0", "train.optimiser.lr=0.01", "prediction.window=64",
]  # fmt: skip


@pytest.fixture(scope="module")
def separated(tmp_path_factory):
    """A finished ablation on scenes that only height tells apart: its data set, folder, and what it found."""
    folder = tmp_path_factory.mktemp("telling")
    data = made_up(folder / "data", telling)
    asked = Ablation(rows=("depth-none",))
    return data, folder / "out", ablate(load_dataset(data), folder / "out", load_settings("debug", None, TINY), asked)


def test_depth_helps_where_only_height_tells_classes_apart(separated):
    (question,) = separated[2]["questions"]
    found = question["differences"]["mean_iou"]
    assert (question["with"], question["without"]) == ("true heights", "none")
    assert found["verdict"] == "helps"
    assert found["low"] > 0
    assert found["p_holm"] < 0.05
    assert all(question["differences"][f"iou {name}"]["estimate"] > 0.4 for name in ("low", "high"))


def test_depth_is_no_evidence_where_it_is_noise(tmp_path):
    data = made_up(tmp_path / "data", noise)
    asked = Ablation(rows=("depth-none",))
    found = ablate(load_dataset(data), tmp_path / "out", load_settings("debug", None, TINY), asked)
    (question,) = found["questions"]
    assert question["differences"]["mean_iou"]["verdict"] == "no evidence"
    assert "No evidence: depth as a band" in (tmp_path / "out" / "ablation.html").read_text(encoding="utf-8")


class Listener:
    """Remembers what was said."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def progress(self, title):
        return nullcontext(lambda done, of: None)


def stamps(out):
    return {path: path.stat().st_mtime_ns for path in sorted(out.rglob("model.safetensors"))}


def test_finished_runs_are_kept_and_others_done_again(separated, tmp_path):
    data, finished, _ = separated
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    before, settings, heard = stamps(out), load_settings("debug", None, TINY), Listener()
    asked = Ablation(rows=("depth-none",))
    (out / "runs" / "depth-none" / "seed1" / "evaluation" / "validation" / "metrics.json").unlink()
    first = ablate(load_dataset(data), out, settings, asked, say=heard)
    assert heard.notes[0] == "5 of 6 runs are done already and kept"
    assert stamps(out) == before
    assert first["questions"] == separated[2]["questions"]
    other = settings.model_copy(update={"prediction": settings.prediction.model_copy(update={"window": 32})})
    asked = Ablation(rows=("depth-none",), seeds=(0,))
    ablate(load_dataset(data), out, other, asked, say=heard)
    assert "recommended, seed 0: settings or data changed since it was run: it is done again" in heard.notes
    moved = {path for path, stamp in stamps(out).items() if stamp != before[path]}
    assert {path.parent.parent.name for path in moved} == {"seed0"}


def test_a_killed_ablation_goes_on_where_it_was(separated, tmp_path, monkeypatch):
    """Killed within the second run: the first is kept, the second resumed from its checkpoint."""
    data, calls = separated[0], []

    def killed(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*args, **kwargs)

    monkeypatch.setattr(ablation_runs, "measure", killed)
    settings, asked = load_settings("debug", None, [*TINY, "train.steps=4"]), Ablation(rows=("depth-none",), seeds=(0,))
    with pytest.raises(KeyboardInterrupt):
        ablate(load_dataset(data), tmp_path / "out", settings, asked)
    before = stamps(tmp_path / "out")
    assert len(before) == 2
    ablate(load_dataset(data), tmp_path / "out", settings, asked)
    assert len(calls) == 3
    assert stamps(tmp_path / "out") == before


def test_the_page_and_the_table_say_what_was_found(separated, capsys):
    data, out, found = separated
    arguments = ["ablate", str(data), "-o", str(out), "--preset", "debug", "--rows", "depth-none"]
    assert command([*arguments, *(part for one in TINY for part in ("--set", one)), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "depth as a band: true heights, not none" in told
    assert "helps" in told
    assert "scenes of one place say nothing of another place" in told
    page = (out / "ablation.html").read_text(encoding="utf-8")
    assert "Helps: depth as a band: true heights, not none (+" in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    assert "http" not in page.replace("http://www.w3.org", "")
    assert json.loads((out / "ablation.json").read_text(encoding="utf-8")) == found


def test_at_equal_time_a_quicker_way_gets_more_steps(separated, tmp_path, monkeypatch):
    data, finished, _ = separated
    shutil.copytree(finished, tmp_path / "out")
    seconds = {
        "recommended": (10.0, 0.1),
        "depth-none": (8.5, 0.05),  # 30 steps, and 7 seconds that do not grow with them
    }
    monkeypatch.setattr(ablation, "learning_seconds", lambda folder: seconds[folder.parent.name])
    asked = Ablation(rows=("depth-none",), seeds=(0,), equal="time")
    found = ablate(load_dataset(data), tmp_path / "out", load_settings("debug", None, TINY), asked)
    assert found["ways"]["depth-none"]["steps"][0]["train"] == 30
    assert found["ways"]["depth-none-equal-time"]["steps"][0]["train"] == 60
    assert found["equal_time"][0]["ways"] == [["recommended", "depth-none-equal-time"]]
    assert "At equal time" in (tmp_path / "out" / "ablation.html").read_text(encoding="utf-8")


def test_with_few_scenes_or_seeds_nothing_is_evidence(separated):
    data, out, _ = separated
    found = ablate(
        load_dataset(data), out, load_settings("debug", None, TINY), Ablation(rows=("depth-none",), seeds=(0, 1))
    )
    assert found["questions"][0]["differences"]["mean_iou"]["estimate"] > 0.5
    assert found["questions"][0]["differences"]["mean_iou"]["verdict"] == "no evidence"
    assert any("With 2 seeds nothing is called evidence" in note for note in found["notes"])


def test_notes_count_the_scenes_that_can_score():
    tally = SplitEvaluation(ClassTable((ClassSpec("low", (0, 0, 0)), ClassSpec("high", (9, 9, 9)))))
    ids = np.array([[0, 1]], np.uint8)
    for name, truth in (("a", ids), ("b", ids), ("c", np.full_like(ids, IGNORE_INDEX))):
        tally.add(name, truth, ids)
    told = " ".join(notes_on_evidence(tally.to_metrics() | {"split": "validation"}, 3))
    assert "measured on 2 scenes" in told
    assert "With 2 scenes nothing is called evidence" in told


@pytest.fixture
def towns(tmp_path):
    """A data set with everything there can be: heights, tile labels, all splits."""
    splits = {"pixel_labelled": ["s0"], "tile_labelled": ["s1"], "validation": ["s2"], "test": ["s3"]}
    data = made_up(tmp_path / "towns", telling, scenes=4, splits=splits)
    text = (data / "dataset.toml").read_text(encoding="utf-8")
    (data / "dataset.toml").write_text(text + "[tile_labels]\nfrom_labels = true\nsize = 32\n", encoding="utf-8")
    return load_dataset(data)


def test_corrected_labels_are_noticed_and_copies_are_not(towns, tmp_path):
    before = contents_of(towns, "validation", SILENT)
    shutil.copytree(towns.root, tmp_path / "copy")
    assert contents_of(load_dataset(tmp_path / "copy"), "validation", SILENT) == before
    for scene, noticed in (("s3", False), ("s2", True)):  # s3 is the test scene: not read
        one = towns.scenes[scene]
        write_raster(one.labels, np.zeros((one.grid.height, one.grid.width), np.uint8), one.grid)
        assert (contents_of(towns, "validation", SILENT) != before) == noticed


def test_labels_that_are_meant_otherwise_are_noticed(towns):
    before = contents_of(towns, "validation", SILENT)
    text = towns.file.read_text(encoding="utf-8")
    swapped = text.replace("id = 0", "id = 2").replace("id = 1", "id = 0").replace("id = 2", "id = 1")
    for changed in (swapped, text.replace('"ndsm"', '"dsm"'), text.replace("gsd = 0.5", "gsd = 0.25")):
        towns.file.write_text(changed, encoding="utf-8")
        assert contents_of(load_dataset(towns.root), "validation", SILENT).learnt != before.learnt


def test_a_test_split_is_scored_without_learning_again(towns, tmp_path, monkeypatch):
    settings = load_settings("debug", None, [*TINY, "train.steps=3"])
    scored = {split: Ablation(rows=("depth-none",), seeds=(0,), split=split) for split in ("validation", "test")}
    ablate(towns, tmp_path / "out", settings, scored["validation"])
    monkeypatch.setattr(ablation_runs, "train", lambda *args, **kwargs: pytest.fail("trains again"))

    def readings():
        return ablate(towns, tmp_path / "out", settings, scored["test"])["ways"]["recommended"]["readings"]

    assert readings() == [1]
    assert readings() == [1]
    ablate(towns, tmp_path / "out", settings, scored["validation"])
    test_scene = towns.scenes["s3"]
    write_raster(test_scene.labels, np.zeros((64, 64), np.uint8), test_scene.grid)
    assert readings() == [2]


def test_readings_outlive_a_run_that_is_done_again(towns, tmp_path, monkeypatch):
    settings = load_settings("debug", None, TINY)
    contents = contents_of(towns, "test", SILENT)
    job = ablation_runs.Job("one", towns, settings, tmp_path / "run", "test", contents)
    write_json(job.folder / "asked.json", {"settings": "others"})
    for name in ("model/config.json", "data.json", "evaluation/test/pictures/s3.png", "evaluation/test/metrics.json"):
        write_json(job.folder / name, {})
    for split, times in (("test", 2), ("validation", 1)):
        write_json(job.folder / "evaluation" / split / "readings.json", {"readings": times})
    found = []

    def trained(dataset, folder, *args, resume, **kwargs):
        assert not resume
        found.extend(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))

    def measured(folder, dataset, split, **kwargs):
        found.append(evaluating._one_more_reading(folder / "evaluation" / split))

    monkeypatch.setattr(ablation_runs, "train", trained)
    monkeypatch.setattr(ablation_runs, "measure", measured)
    ablation_runs._do(job, SILENT, SILENT)
    assert found == ["asked.json", "evaluation/test/readings.json", "evaluation/validation/readings.json", 3]


def test_other_weights_in_the_same_file_are_noticed(towns, tmp_path):
    weights = tmp_path / "mine.safetensors"
    settings = load_settings("ablation", None, [f"depth.weights={weights}"])
    contents = contents_of(towns, "validation", SILENT)
    job = ablation_runs.Job("one", towns, settings, tmp_path / "run", "validation", contents)
    asked = []
    for held in (b"a", b"b"):
        weights.write_bytes(held)
        asked.append(job.asked)
    assert asked[0] != asked[1]


SMALL_U2NET, PLAIN_UNET = ([f"network.name={name}", "network.init=random"] for name in ("u2net-small", "unet-small"))


def named(questions):
    return {(q.factor.key, q.richer.name, q.plainer.name) for q in questions}


def test_each_row_changes_one_thing_of_the_recommended_settings(towns):
    settings = load_settings("ablation")
    questions = one_at_a_time(list(factors_of(towns, settings).values()), settings)
    assert named(questions) == {
        ("depth", "builtin", "none"),
        ("depth", "builtin", "depth alone"),
        ("depth", "true heights", "builtin"),
        ("pretraining", "on", "off"),
        ("lessons", "on", "off"),
        ("adversarial", "on", "off"),
        ("sides", "on", "off"),
        ("boxes", "random centre and size", "ordered grid"),
        ("boxes", "random centre and size", "random centre"),
        ("init", "on", "off"),
        ("network", "U²-Net", "plain U-Net"),
    }
    for question in questions:
        ((richer, plainer),) = question.pairs
        assert settings in (richer.settings, plainer.settings)
        assert richer.settings != plainer.settings
    ways = {way.name: way.settings for q in questions for pair in q.pairs for way in pair}
    assert ways["depth-none"].depth.source == "none"
    assert ways["depth-depth-alone"].tiles.bands == ()
    assert ways["pretraining-off"].pretrain.steps == 0
    assert ways["adversarial-off"].train.loss.adversarial == 0
    assert ways["sides-off"].train.loss.sides == 0
    assert ways["boxes-ordered-grid"].tiles.centres == "grid"
    assert ways["boxes-random-centre"].tiles.box_factor == (1.0, 1.0)
    assert ways["network-plain-u-net"].network.name == "unet-small"


def test_what_the_settings_lack_is_no_row(towns):
    settings = load_settings("ablation", None, ["train.loss.adversarial=0", "tiles.box_factor=[1.0, 1.0]"])
    factors = factors_of(towns, settings)
    assert "adversarial" not in factors
    assert named(one_at_a_time([factors["boxes"]], settings)) == {("boxes", "random centre", "ordered grid")}
    with pytest.raises(InputError, match="--rows adversarial: cannot be tried here"):
        chosen(factors, ["adversarial"], settings)
    with pytest.raises(InputError, match="did you mean 'depth-none'"):
        chosen(factors, ["depth-nune"], settings)


def test_the_depth_networks_weights_are_a_row_for_their_shape(towns):
    other = load_settings("ablation", None, SMALL_U2NET)
    assert "init" not in factors_of(towns, other)
    assert factors_of(towns, other)["network"].title == "U²-Net"
    assert factors_of(towns, load_settings("ablation"))["network"].title == "U²-Net, with its start"
    for init, said in (("builtin", "init-off"), ("random", "init-on")):
        settings = load_settings("ablation", None, ["network.name=u2net-relief", f"network.init={init}"])
        ((richer, plainer),) = one_at_a_time([factors_of(towns, settings)["init"]], settings)[0].pairs
        assert (richer.settings.network.init, plainer.settings.network.init) == ("builtin", "random")
        assert {richer.name, plainer.name} == {"recommended", said}


def test_a_full_grid_asks_in_all_surroundings(towns):
    settings = load_settings("ablation")
    factors = factors_of(towns, settings)
    questions = full_grid([factors["adversarial"], factors["boxes"]], settings)
    assert named(questions) == {
        ("adversarial", "on", "off"),
        ("boxes", "random centre", "ordered grid"),
        ("boxes", "random centre and size", "ordered grid"),
        ("boxes", "random centre and size", "random centre"),
    }
    assert [len(q.pairs) for q in questions] == [3, 2, 2, 2]
    ways = {way.name: way.settings for q in questions for pair in q.pairs for way in pair}
    assert len(ways) == 6
    assert ways["recommended"] == settings
    assert ways["adversarial-off+boxes-ordered-grid"].tiles.centres == "grid"
    assert ways["adversarial-off+boxes-ordered-grid"].train.loss.adversarial == 0


def test_a_full_grid_leaves_out_what_cannot_be(towns):
    """A plain U-Net cannot start from the depth network: there, to start from it or not is no question."""
    settings = load_settings("ablation", None, ["network.init='random'"])
    factors = factors_of(towns, settings)
    questions = {q.factor.key: q for q in full_grid([factors["init"], factors["network"]], settings)}
    pairs = {key: [(a.name, b.name) for a, b in question.pairs] for key, question in questions.items()}
    assert pairs == {
        "init": [("init-on", "recommended")],
        "network": [("recommended", "network-plain-u-net"), ("init-on", "network-plain-u-net")],
    }


def test_a_full_grid_counts_each_pair_of_runs_once(towns):
    """A plain U-Net with and without side outputs is one way: with the recommended network it makes one pair less."""
    settings = load_settings("ablation")
    factors = factors_of(towns, settings)
    questions = full_grid([factors[key] for key in ("adversarial", "sides", "network")], settings)
    for question in questions:
        names = [(a.name, b.name) for a, b in question.pairs]
        assert len(names) == len(set(names)), question.factor.key
    assert [len(question.pairs) for question in questions] == [3, 2, 4]


def test_a_plain_unet_has_no_side_outputs_to_ask_for(towns):
    settings = load_settings("ablation")
    factors = factors_of(towns, settings)
    questions = {q.factor.key: q for q in full_grid([factors["sides"], factors["network"]], settings)}
    assert [(a.name, b.name) for a, b in questions["sides"].pairs] == [("recommended", "sides-off")]
    assert {b.name for _, b in questions["network"].pairs} == {"network-plain-u-net"}
    assert "sides" not in factors_of(towns, load_settings("ablation", None, PLAIN_UNET))


def test_what_cannot_be_trained_is_no_row(towns):
    """No bands and no depth; weights made for image bands, and for U²-Nets."""
    alone = load_settings("ablation", None, ["tiles.bands=[]"])
    assert "depth-none" not in [way.name for q in one_at_a_time([factors_of(towns, alone)["depth"]], alone)
                                for pair in q.pairs for way in pair]  # fmt: skip
    official = load_settings("ablation", None, [*SMALL_U2NET, "network.weights='u2net.safetensors'"])
    ways = {way.name: way.settings for q in one_at_a_time(list(factors_of(towns, official).values()), official)
            for pair in q.pairs for way in pair}  # fmt: skip
    assert "depth-depth-alone" not in ways
    assert ways["network-plain-u-net"].network.weights is None
    assert factors_of(towns, official)["network"].title == "U²-Net, with its start"


def test_another_process_can_be_given_what_tells_of_one_run():
    within = ablation_runs._Within(lambda done, of: None, 0, 1, SILENT)
    assert isinstance(pickle.loads(pickle.dumps(within)), Silent)


def test_picked_on_the_scenes_that_score_is_said():
    picked = load_settings("cpu")
    assert ablation_runs.notes_on_picking(picked, "validation")
    assert not ablation_runs.notes_on_picking(picked, "test")
    assert not ablation_runs.notes_on_picking(load_settings("cpu", None, ["validation.blocks=true"]), "validation")
    assert not ablation_runs.notes_on_picking(load_settings("ablation"), "validation")


def test_wrong_input_is_told_before_anything_is_learnt(towns, tmp_path):
    settings = load_settings("debug")
    for split in ("pixel_labelled", "tile_labelled", "unlabelled"):
        with pytest.raises(InputError, match=f"--split {split}: only validation and test can be scored"):
            ablate(towns, tmp_path / "out", settings, Ablation(split=split))
        with pytest.raises(InputError, match=f"--split {split}: only validation and test can be scored"):
            label_curve(towns, tmp_path / "out", settings, LabelCurve((1,), split=split))
    bare = replace(towns, splits={"pixel_labelled": ("s0",), "validation": ("s2",)})
    with pytest.raises(InputError, match="no split 'test'; stated are"):
        ablate(bare, tmp_path / "out", settings, Ablation(split="test"))
    with pytest.raises(InputError, match="--rows colour"):
        ablate(towns, tmp_path / "out", settings, Ablation(rows=("colour",)))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


@pytest.mark.parametrize("seeds", ["", "a,b", "1;2", "-1"])
def test_seeds_are_whole_numbers(towns, tmp_path, capsys, seeds):
    assert command(["ablate", str(towns.root), "-o", str(tmp_path / "out"), "--seeds", seeds, "--quiet"]) == 2
    assert "expected whole numbers" in capsys.readouterr().err


def test_a_seed_too_large_for_torch_is_refused(towns, tmp_path):
    asked = Ablation(rows=("depth-none",), seeds=(2**63,))
    with pytest.raises(InputError, match="seed"):
        ablate(towns, tmp_path / "out", load_settings("debug", None, TINY), asked)


def test_rows_that_were_asked_for_before_are_not_forgotten(tmp_path):
    for name in ("recommended", "depth-none", "sides-off", "labels-3", "depth-none-equal-time"):
        write_json(tmp_path / "runs" / name / "seed0" / "evaluation" / "validation" / "metrics.json", {})
    (tmp_path / "runs" / "begun" / "seed0").mkdir(parents=True)
    assert _not_counted(tmp_path, {"recommended": [], "depth-none": [], "sides-off": []}, "validation") == []
    (note,) = _not_counted(tmp_path, {"recommended": [], "sides-off": []}, "validation")
    assert note.startswith("Not counted here, though scored in ")
    assert ": depth-none: ask for all rows" in note
    assert _not_counted(tmp_path, {"recommended": []}, "test") == []


def ignored(data, scenes):
    """The data set with all labels of some scenes ignored."""
    text = (data / "dataset.toml").read_text(encoding="utf-8")
    (data / "dataset.toml").write_text(text.replace("[files]", "[ignore]\nids = [9]\n[files]"), encoding="utf-8")
    for scene in scenes:
        write_raster(data / "labels" / f"{scene}.tif", np.full((64, 64), 9, np.uint8), Grid(64, 64))
    return data


def ablated(data, out, *more):
    arguments = ["ablate", str(data), "-o", str(out), "--preset", "debug", "--seeds", "0", "--rows", "depth-none"]
    quick = [*TINY, "train.steps=3"]
    return command([*arguments, *(part for one in quick for part in ("--set", one)), "--quiet", *more])


def test_a_split_whose_labels_are_all_ignored_is_refused(tmp_path, capsys):
    data = ignored(made_up(tmp_path / "data", telling, scenes=4), ["s2", "s3"])
    assert ablated(data, tmp_path / "out") == 2
    assert "no pixel of split validation has a class, all its labels are ignored" in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs").exists()


def test_nothing_can_be_picked_or_scored_on_labels_that_are_all_ignored(tmp_path, capsys):
    data = ignored(made_up(tmp_path / "data", telling, scenes=4), ["s2", "s3"])
    arguments = [str(data), "-o", str(tmp_path / "run"), "--preset", "debug", "--quiet"]
    assert command(["train", *arguments, *(part for one in TINY for part in ("--set", one))]) == 2
    assert "no pixel of split validation has a class, nothing can be picked on it" in capsys.readouterr().err
    assert command(["run", *arguments[:2], str(tmp_path / "other"), *arguments[3:]]) == 2
    assert "no pixel of split validation has a class, all its labels are ignored" in capsys.readouterr().err
    assert not (tmp_path / "other").exists(), "before anything is learnt"
    assert command(["evaluate", str(tmp_path / "run"), str(data), "--split", "validation", "--quiet"]) == 2
    assert "no pixel of split validation has a class, all its labels are ignored" in capsys.readouterr().err


def test_labelled_scenes_whose_labels_are_all_ignored_are_refused(tmp_path, capsys):
    data = ignored(made_up(tmp_path / "data", telling, scenes=3), ["s1"])
    assert ablated(data, tmp_path / "out") == 2
    assert "scene s1: in splits.pixel_labelled, but no valid pixel has a class" in capsys.readouterr().err


def test_a_split_without_labels_is_refused(tmp_path, capsys):
    data = made_up(tmp_path / "data", telling, scenes=4)
    (data / "labels" / "s3.tif").unlink()
    assert ablated(data, tmp_path / "out") == 2
    assert "scene s3: is in the split validation, but has no labels" in capsys.readouterr().err


def test_a_class_that_no_labelled_scene_shows_is_named(tmp_path, capsys):
    """One scene, too: no interval over scenes, never evidence."""
    data = made_up(tmp_path / "data", telling, scenes=2, splits={"pixel_labelled": ["s0"], "validation": ["s1"]})
    write_raster(data / "labels" / "s0.tif", np.zeros((64, 64), np.uint8), Grid(64, 64))
    text = (data / "dataset.toml").read_text(encoding="utf-8")
    more = '[[classes]]\nname = "water"\nid = 2\n[files]'
    (data / "dataset.toml").write_text(text.replace("[files]", more), encoding="utf-8")
    assert ablated(data, tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "No pixel-labelled scene shows high; what it scores is in every mean" in told
    assert "Not in the truth of split validation, so in no mean: water." in told
    assert "With 1 scene and 1 seed nothing is called evidence" in told
    found = json.loads((tmp_path / "out" / "ablation.json").read_text(encoding="utf-8"))
    assert found["questions"][0]["differences"]["iou water"]["estimate"] is None
    assert found["questions"][0]["differences"]["mean_iou"]["verdict"] == "no evidence"
