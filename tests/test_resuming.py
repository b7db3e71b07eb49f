"""Whatever ends a run, going on gives the weights of a run never interrupted; what does not fit is said before."""

import errno
import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reliefseg.errors import InputError
from reliefseg.hardware import _left_in_groups, free_memory, pick_precision
from reliefseg.learning import memory
from reliefseg.learning.checkpoint import newest_checkpoint, steps_done
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.loop import Hooks
from reliefseg.learning.run_folder import RunLog
from reliefseg.learning.settings import LossSettings, TrainSettings
from reliefseg.learning.training import Training, seconds_per_step, train
from reliefseg.networks import UNet
from reliefseg.raster import files
from reliefseg.tiles import Normalisation, SceneArrays, SceneBank, TileSettings

LOSS = LossSettings(adversarial=0.1)
SETTINGS = TrainSettings(steps=4, batch=2, validations=4, average=0.5, loss=LOSS, discriminator_width=4)


@pytest.fixture(scope="module")
def bank():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (4, 4)), np.ones((16, 16))).astype(np.uint8)
    scene = SceneArrays((labels * 80 + rng.integers(0, 40, (3, 64, 64))).astype(np.uint8), labels < 9, labels)
    return SceneBank([scene], 3, Normalisation.of([scene]), TileSettings(size=32))


def training(settings=SETTINGS):
    torch.manual_seed(0)
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    return Training(UNet(3, 3, 4), 3, 3, settings, fabric, 0)


def go(folder, bank, **hooks):
    folder.mkdir(exist_ok=True)
    run, log = training(), RunLog(folder)
    try:
        train(run, bank, folder / "checkpoints", log, 0, Hooks(**hooks))
    finally:
        log.close()
    return {k: v.clone() for k, v in run.checkpoint(4).tensors.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, bank):
    """A run never interrupted: its folder and its state."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, go(folder, bank)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


class Killed(BaseException):
    """As kill -9: nothing is tidied up after it."""


class Killer:
    """Kills at the n-th of the calls that change what is on the disk."""

    def __init__(self, monkeypatch, at):
        self.left, self.dead = at, False
        for place, name in ((files, "_flush"), (files.Path, "rename"), (files.Path, "replace"), (shutil, "rmtree")):
            monkeypatch.setattr(place, name, self.watched(getattr(place, name)))
        monkeypatch.setattr(files.Path, "mkdir", self.watched(files.Path.mkdir))

    def watched(self, function):
        def call(*arguments, **more):
            self.left -= 1
            if self.dead or self.left == 0:
                self.dead = True
                raise Killed
            return function(*arguments, **more)

        return call


@pytest.mark.parametrize("at", range(1, 50, 3))
def test_killed_at_any_moment_and_resumed_is_the_run_never_interrupted(tmp_path, bank, whole, at):
    """Killed while checkpoints are begun, flushed, renamed and removed: what is seen is whole."""
    with pytest.MonkeyPatch.context() as patch:
        Killer(patch, at)
        with pytest.raises(Killed):
            go(tmp_path / "run", bank)
    told = []
    assert same(go(tmp_path / "run", bank, tell=told.append), whole[1])
    assert all(re.fullmatch(r"training and validation: going on; [1-3] of 4 steps are taken", text) for text in told)
    kept = {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()}
    assert {f"train-000000{step}" for step in (2, 3, 4)} <= kept
    assert curves(tmp_path / "run") == curves(whole[0])
    assert lines(tmp_path / "run") == lines(whole[0])


TIMES = ("images_per_second", "seconds", "seconds_a_step")


def lines(run):
    read = [json.loads(x) for x in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in x.items() if k not in TIMES} for x in read]


def curves(run):
    events = EventAccumulator(str(run / "events")).Reload()
    tags = [t for t in events.Tags()["scalars"] if not t.endswith(TIMES)]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize("hooks", [{}, {"validate": lambda network: {"mean_iou": 0.5}}])
def test_weights_that_are_no_numbers_end_the_run(tmp_path, bank, hooks):
    run, log = training(), RunLog(tmp_path)
    with torch.no_grad():
        next(run.generator.network.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="by step 1 the weights have grown beyond all numbers; lower"):
        train(run, bank, tmp_path / "checkpoints", log, 0, Hooks(**hooks))
    log.close()


def test_log_and_curves_are_cut_back(tmp_path):
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.write("train", "step", step=step, loss=float(step))
    log.note("once")
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"phase": "train", "ev')
    log = RunLog(tmp_path)
    log.note("once")
    log.cut_back("train", 1)
    log.write("train", "step", step=2, loss=20.0)
    log.close()
    assert [(x["event"], x.get("step")) for x in lines(tmp_path)] == [("step", 1), ("note", None), ("step", 2)]
    assert curves(tmp_path) == {"train/step/loss": [(1, 1.0), (2, 20.0)]}


def test_a_full_disk_while_a_checkpoint_is_written_ends_nothing(tmp_path, bank, whole, monkeypatch):
    told, writes = [], []
    flush = files._flush

    def full(path):
        writes.append(path)
        if "train-0000003" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        flush(path)

    monkeypatch.setattr(files, "_flush", full)
    assert same(go(tmp_path / "run", bank, tell=told.append), whole[1])
    assert len(told) == 1
    assert "after step 3 of phase train could not be written (No space left on device): the run goes on" in told[0]
    found = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert found == ["train-0000001", "train-0000002", "train-0000004"]


def test_a_log_on_a_full_disk_waits_for_room(tmp_path):
    log = RunLog(tmp_path)
    log.write("run", "timing", seconds=1)

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    room, log._file = log._file, Full()
    log.write("run", "timing", seconds=2)
    log._file = room
    log.write("run", "timing", seconds=3)
    log.close()
    assert [x["seconds"] for x in log.lines()] == [1, 2, 3]


def test_a_log_that_cannot_be_cut_back_can_still_be_written(tmp_path, monkeypatch):
    log = RunLog(tmp_path)
    log.write("train", "step", step=2)
    with monkeypatch.context() as patch:
        patch.setattr(files, "_flush", lambda path: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            log.cut_back("train", 1)
    log.write("train", "step", step=3)
    log.close()
    assert [line["step"] for line in log.lines()] == [2, 3]


def test_trials_leave_no_trace(tmp_path, bank, whole, monkeypatch):
    run = training()
    before = {k: v.clone() for k, v in run.checkpoint(0).tensors.items()}
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    seconds_per_step(run, bank)
    run.refuse_large_batch(32)
    assert same(run.checkpoint(0).tensors, before)
    log = RunLog(tmp_path)
    train(run, bank, tmp_path / "checkpoints", log, 0, Hooks())
    log.close()
    assert same(run.checkpoint(4).tensors, whole[1])
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_a_batch_that_does_not_fit_is_refused_and_the_largest_that_does_named(monkeypatch):
    run = training(SETTINGS.model_copy(update={"batch": 64}))
    run.refuse_large_batch(32)
    parameters = 3 * sum(p.numel() * 4 for one in run._players().values() for p in one.network.parameters())
    monkeypatch.setattr(memory, "bytes_a_tile", lambda *rest: 10**9)
    monkeypatch.setattr(memory, "free_memory", lambda device: 20 * 10**9 + parameters)
    with pytest.raises(InputError, match=r"train.batch: 64 tiles of 32 px .* 64.\d GB, 20.\d GB are free; .* is 20$"):
        run.refuse_large_batch(32)
    monkeypatch.setattr(memory, "free_memory", lambda device: parameters)
    with pytest.raises(InputError, match="not one tile a process fits"):
        run.refuse_large_batch(32)


def test_what_autograd_keeps_is_counted_once_and_let_go():
    x = torch.zeros(1000, requires_grad=True)
    weight = torch.ones(1000, requires_grad=True)
    with memory.KeptTensors([weight]) as kept:
        y = x * weight
        z = (y.view(10, 100) ** 2).sum() + (y**2).sum()
        assert kept.peak == 8000
        z.backward()
        (x * weight).sum().backward()
    assert kept.peak == 8000
    assert kept._now <= 4000


def test_memory_left_in_control_groups(tmp_path):
    def group(folder, limit, used, cache, names):
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in zip(names, (limit, used, cache), strict=True):
            (folder / name).write_text(f"{value}\n")

    new = ("memory.max", "memory.current", "memory.stat")
    group(tmp_path / "a" / "b", 1000, 600, "anon 1\ninactive_file 100", new)
    group(tmp_path / "a", "max", 600, "inactive_file 0", new)
    assert list(_left_in_groups("0::/a/b", tmp_path)) == [500]
    old = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    group(tmp_path / "memory" / "c", 2000, 500, "total_inactive_file 0", old)
    assert list(_left_in_groups("4:memory:/c\n1:cpu:/", tmp_path)) == [1500]
    assert list(_left_in_groups("0::/nowhere", tmp_path / "none")) == []
    assert 0 < free_memory(torch.device("cpu")) <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_precision_the_device_lacks_is_refused():
    with pytest.raises(InputError, match="precision 'float16': for GPUs only"):
        pick_precision("float16", torch.device("cpu"))


@pytest.mark.parametrize(
    ("capability", "name", "found"),
    [
        ((9, 0), "auto", "bfloat16"),
        ((7, 5), "auto", "float16"),
        ((6, 1), "auto", "float32"),
        ((7, 0), "float16", "float16"),
    ],
)
def test_precisions_of_gpus(monkeypatch, capability, name, found):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))
    assert pick_precision(name, torch.device("cuda")) == getattr(torch, found)
    if capability < (8, 0):
        instead = "float16" if capability >= (7, 0) else "float32"
        with pytest.raises(InputError, match=f'bfloat16.*does not have it; use precision = "{instead}"'):
            pick_precision("bfloat16", torch.device("cuda"))
    if capability < (7, 0):
        with pytest.raises(InputError, match="'float16': this GPU does not have it"):
            pick_precision("float16", torch.device("cuda"))


def test_other_choices_than_the_checkpoints_are_told(tmp_path, bank, monkeypatch):
    def stop(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", bank, progress=stop)
    state = newest_checkpoint(tmp_path / "run" / "checkpoints", "train", print)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    told = []
    go(tmp_path / "run", bank, tell=told.append)
    assert state.name == "train-0000002"
    assert steps_done(tmp_path / "run" / "checkpoints", "pretrain") == 0
    assert steps_done(tmp_path / "run" / "checkpoints", "train") == 4
    assert "goes on with device cpu, precision 32-true, processes 1, threads 77" in told[0]
