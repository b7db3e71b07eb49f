"""Settings of speed and memory change nothing else: accumulation, recomputation, compilation, the bank's place."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reliefseg.config import load_settings
from reliefseg.errors import InputError
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.memory import KeptTensors, bytes_a_tile
from reliefseg.learning.settings import LossSettings, OptimiserSettings, TrainSettings
from reliefseg.learning.synced import bare
from reliefseg.learning.training import Training
from reliefseg.networks import SMALL, Stage, U2Net
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import Normalisation, SceneArrays, SceneBank, TileSettings
from reliefseg.tiles.flat import Outline
from reliefseg.tiles.tiers import Tier, lay_in

TINY = tuple(Stage(s.depth, 3, 6, s.dilated) for s in SMALL)
LOSS = LossSettings(adversarial=0.5)


def unevenly_labelled_bank(tmp_path=Path(), tier=Tier.DEVICE):
    """A scene with ever fewer labels to the right: batches have very different numbers of valid pixels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (96, 96)).astype(np.uint8)
    labels[rng.random((96, 96)) < np.linspace(0, 1, 96)] = IGNORE_INDEX
    scene = SceneArrays(rng.integers(0, 255, (3, 96, 96)).astype(np.uint8), np.ones((96, 96), bool), labels)
    settings, lay = TileSettings(size=32, min_valid=0), lay_in(tier, tmp_path, "pixels", "key")
    return SceneBank([scene], 3, Normalisation.of([scene]), settings, "cpu", Outline.of([scene]), lay)


def training(precision="32-true", stages=TINY, **settings):
    torch.manual_seed(0)
    usual = {"steps": 2, "loss": LOSS, "optimiser": OptimiserSettings(clip=0.0), "discriminator_width": 8}
    chosen = TrainSettings(**usual | settings)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    run = Training(U2Net(3, 3, stages), 3, 3, chosen, fabric, 0)
    if precision == "64-true":
        run.average.network.double()
    return run


def networks(run):
    return {"generator": bare(run.generator.network), "discriminator": bare(run.discriminator.network)}


def gradients(run):
    return {f"{who}.{name}": p.grad for who, net in networks(run).items() for name, p in net.named_parameters()}


def moments(run):
    return {f"{who}.{name}": b for who, net in networks(run).items() for name, b in net.named_buffers()}


def freeze_batch_norm(run):
    for network in networks(run).values():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulated_batches_are_one_large_batch_but_for_batch_norm(accumulate):
    """In float64 (losses are float32), batch norm in evaluation, batches of very different numbers of valid pixels."""
    runs = [training("64-true", batch=8 // n, accumulate=n) for n in (1, accumulate)]
    reports = []
    for run in runs:
        freeze_batch_norm(run)
        reports.append(run.step(unevenly_labelled_bank(), 6, 0))
    expected, found = (gradients(run) for run in runs)
    for who in networks(runs[0]):
        mine = [name for name in expected if name.startswith(who)]
        scale = max(float(expected[name].abs().max()) for name in mine)
        for name in mine:
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-6 * scale, msg=name)
    assert reports[0].keys() == reports[1].keys()
    for name, value in reports[0].items():
        torch.testing.assert_close(reports[1][name], value, msg=name)


def test_batch_norm_sees_each_batch_once():
    run = training(batch=2, accumulate=3)
    run.step(unevenly_labelled_bank(), 0, 0)
    counted = {name: int(b) for name, b in moments(run).items() if name.endswith("num_batches_tracked")}
    assert {n for name, n in counted.items() if name.startswith("generator")} == {3}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_recomputed_gradients_and_moments_are_the_same_bits(precision):
    plain, saving = (training(precision, checkpoint_gradients=saves) for saves in (False, True))
    for run in (plain, saving):
        run.step(unevenly_labelled_bank(), 0, 0)
    assert all(torch.equal(g, gradients(saving)[name]) for name, g in gradients(plain).items())
    assert all(torch.equal(b, moments(saving)[name]) for name, b in moments(plain).items())


def test_recomputation_takes_less_memory_and_the_estimate_knows():
    """What is kept at the height of a step, the stage that is computed again included."""
    kept, told = [], []
    for saves in (False, True):
        run = training(stages=SMALL, checkpoint_gradients=saves, loss=LossSettings(adversarial=0.0))
        bank = unevenly_labelled_bank()
        with KeptTensors(list(run.generator.network.parameters())) as counted:
            run.step(bank, 0, 0)
        kept.append(counted.peak)
        learn_from = partial(_learn_from, run)
        told.append(bytes_a_tile(learn_from, [run.generator.network], 3, 32))
    assert 0.15 * kept[0] < kept[1] < 0.6 * kept[0]
    assert told[1] / told[0] == pytest.approx(kept[1] / kept[0], rel=0.05)


def _learn_from(run, bands):
    labels = torch.zeros(len(bands), *bands.shape[2:], dtype=torch.uint8)
    run.learn_from([unevenly_labelled_bank().random_tiles(0, 0, 1)._replace(bands=bands, labels=labels)], [None])


def test_compiled_and_recomputed_do_not_go_together():
    with pytest.raises(InputError, match="compile and checkpoint_gradients do not go together"):
        load_settings("debug", None, ["train.compile=true", "train.checkpoint_gradients=true"])


def drawn(run, bank, monkeypatch):
    """The tiles of two steps, in order."""
    seen, draw = [], bank.random_tiles
    with monkeypatch.context() as patch:
        patch.setattr(bank, "random_tiles", lambda *rest: seen.append(draw(*rest)) or seen[-1])
        for step in range(2):
            run.step(bank, 0, step)
    return [torch.cat([getattr(batch, name) for batch in seen]) for name in ("bands", "labels")]


SPEED = {
    "precision": {"precision": "bf16-mixed"},
    "accumulate": {"batch": 2, "accumulate": 2},
    "recompute": {"checkpoint_gradients": True},
    "compile": {"compile": True},
    "memory": {"tier": Tier.MEMORY},
    "disk": {"tier": Tier.DISK},
    "threads": {"threads": 2},
}


@pytest.fixture(scope="module")
def expected():
    with pytest.MonkeyPatch.context() as patch:
        return drawn(training(batch=4), unevenly_labelled_bank(), patch)


@pytest.mark.parametrize("name", SPEED)
def test_settings_of_speed_never_change_which_boxes_are_drawn(name, expected, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda network, **how: compiled.append(network))  # kernels take minutes
    settings = dict(SPEED[name])
    tier, threads = settings.pop("tier", Tier.DEVICE), settings.pop("threads", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = drawn(training(**{"batch": 4, **settings}), unevenly_labelled_bank(tmp_path, tier), monkeypatch)
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert len(compiled) == (name == "compile")
