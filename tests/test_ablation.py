"""The ablation: what its rows switch, and whether it tells the truth."""

import json
import re
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from reliefseg.cli import run as command
from reliefseg.config import load_settings, settings_from
from reliefseg.errors import InputError
from reliefseg.networks import PackedU2Net, TileHead, UNet, build_generator
from reliefseg.raster import IGNORE_INDEX, Grid, load_dataset, write_raster
from reliefseg.tiles import BoxLayout, TileSettings, draw_boxes
from reliefseg.workflow import Ablation, ablate, ablation_runs, full_grid, one_at_a_time
from reliefseg.workflow.ablation_factors import chosen, factors_of
from reliefseg.workflow.evaluating import measure


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
    "pretrain.steps=0", "train.steps=60", "train.batch=4", "train.average=0", "train.validations=1",
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


def test_with_few_scenes_or_seeds_nothing_is_evidence(separated):
    data, out, _ = separated
    found = ablate(
        load_dataset(data), out, load_settings("debug", None, TINY), Ablation(rows=("depth-none",), seeds=(0, 1))
    )
    assert found["questions"][0]["differences"]["mean_iou"]["estimate"] > 0.5
    assert found["questions"][0]["differences"]["mean_iou"]["verdict"] == "no evidence"
    assert any("With 2 seeds nothing is called evidence" in note for note in found["notes"])


@pytest.fixture
def towns(tmp_path):
    """A data set with everything there can be: heights, tile labels, all splits."""
    splits = {"pixel_labelled": ["s0"], "tile_labelled": ["s1"], "validation": ["s2"], "test": ["s3"]}
    data = made_up(tmp_path / "towns", telling, scenes=4, splits=splits)
    text = (data / "dataset.toml").read_text(encoding="utf-8")
    (data / "dataset.toml").write_text(text + "[tile_labels]\nfrom_labels = true\nsize = 32\n", encoding="utf-8")
    return load_dataset(data)


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
        ("adversarial", "on", "off"),
        ("sides", "on", "off"),
        ("boxes", "random centre and size", "ordered grid"),
        ("boxes", "random centre and size", "random centre"),
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


def test_wrong_input_is_told_before_anything_is_learnt(towns, tmp_path):
    settings = load_settings("debug")
    with pytest.raises(InputError, match="no split 'unlabelled'; stated are"):
        ablate(towns, tmp_path / "out", settings, Ablation(split="unlabelled"))
    with pytest.raises(InputError, match="--rows colour"):
        ablate(towns, tmp_path / "out", settings, Ablation(rows=("colour",)))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


@pytest.mark.parametrize("seeds", ["", "a,b", "1;2", "-1"])
def test_seeds_are_whole_numbers(towns, tmp_path, capsys, seeds):
    assert command(["ablate", str(towns.root), "-o", str(tmp_path / "out"), "--seeds", seeds, "--quiet"]) == 2
    assert "expected whole numbers" in capsys.readouterr().err
