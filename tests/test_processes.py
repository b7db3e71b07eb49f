"""Several processes that learn together give what one process gives; one that dies ends them all."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from other_processes import die_or_wait, refuse
from reliefseg.cli import run as command
from reliefseg.cli.common import Teller
from reliefseg.errors import InputError
from reliefseg.learning.fabric import LightningEnvironment
from reliefseg.learning.processes import PRECISIONS, Processes, agreed, gather, is_first_process, refuse_uneven, start
from reliefseg.learning.settings import LossSettings, OptimiserSettings, TrainSettings
from reliefseg.learning.synced import bare
from reliefseg.learning.training import Training
from reliefseg.networks import SMALL, Stage, U2Net
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import Normalisation, SceneArrays, SceneBank, TileSettings

TINY = tuple(Stage(s.depth, 3, 6, s.dilated) for s in SMALL)
SEED = 6
"""One whose first step's halves differ much in valid pixels."""
CPU = torch.device("cpu")


def two(nodes=1):
    return Processes(2, nodes, LightningEnvironment())


def unevenly_labelled_bank():
    """A scene with ever fewer labels to the right: tiles of a step have very different numbers of valid pixels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (96, 96)).astype(np.uint8)
    labels[rng.random((96, 96)) < np.linspace(0, 1, 96)] = IGNORE_INDEX
    scene = SceneArrays(rng.integers(0, 255, (3, 96, 96)).astype(np.uint8), np.ones((96, 96), bool), labels)
    return SceneBank([scene], 3, Normalisation.of([scene]), TileSettings(size=32, min_valid=0))


def learn_in_both_ways(folder, processes):
    """Each step from one batch, and accumulated over two."""
    torch.set_num_threads(1)
    PRECISIONS[torch.float64] = "64-true"
    fabric = processes.fabric(CPU, torch.float64)
    for accumulate in (1, 2):
        learn_two_steps(folder / str(accumulate), fabric, accumulate)


def learn_two_steps(folder, fabric, accumulate):
    """Saves the gradients of the first step, and weights and moments after the second.

    In float64: batch norm over the few values of the deepest maps amplifies float32's rounding some 10⁴ times.
    """
    torch.manual_seed(0)
    loss = LossSettings(adversarial=0.5)
    parts = {"batch": 4 // accumulate, "accumulate": accumulate}
    settings = TrainSettings(steps=2, loss=loss, optimiser=OptimiserSettings(clip=0.0), discriminator_width=8, **parts)
    training = Training(U2Net(3, 3, TINY), 3, 3, settings, fabric, 0)
    training.average.network.double()
    bank = unevenly_labelled_bank()
    training.step(bank, SEED, 0)
    players = {"generator": training.generator.network, "discriminator": training.discriminator.network}
    found = {f"{k}.{n}": p.grad.clone() for k, net in players.items() for n, p in bare(net).named_parameters()}
    moments = {f"moments.{k}.{n}": b for k, net in players.items() for n, b in bare(net).named_buffers()}
    save_file({k: v.contiguous() for k, v in (found | moments).items()}, folder / f"first-{fabric.global_rank}")
    training.step(bank, SEED, 1)
    tensors = training.checkpoint(2).tensors
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, folder / f"second-{fabric.global_rank}")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """What one process learnt, and what two did."""
    folders = [tmp_path_factory.mktemp(name) for name in ("alone", "together")]
    for folder in folders:
        for accumulate in (1, 2):
            (folder / str(accumulate)).mkdir()
    learn_in_both_ways(folders[0], Processes(1, 1, LightningEnvironment()))
    start(two(), learn_in_both_ways, folders[1], two())
    return folders


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_give_the_gradients_of_one_with_twice_the_batch(learnt, accumulate):
    """Batch norm in training mode and all losses on; the processes end with the same bits."""
    alone, together = (folder / str(accumulate) for folder in learnt)
    expected, found = load_file(alone / "first-0"), load_file(together / "first-0")
    assert expected.keys() == found.keys()
    for network in ("generator", "discriminator"):
        scale = max(v.abs().max() for k, v in expected.items() if k.startswith(network))
        for name in (k for k in expected if k.startswith(network)):
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-6 * float(scale), msg=name)
    for name in (k for k in expected if k.startswith("moments")):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-6, atol=1e-6, msg=name)
    one, other = load_file(together / "second-0"), load_file(together / "second-1")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_shares_of_a_step_are_very_different_and_together_the_whole_batch():
    bank = unevenly_labelled_bank()
    whole = bank.random_tiles(SEED, 0, 4)
    parts = [bank.random_tiles(SEED, 0, 2, first) for first in (0, 2)]
    assert torch.equal(whole.bands, torch.cat([p.bands for p in parts]))
    assert torch.equal(whole.labels, torch.cat([p.labels for p in parts]))
    here, there = ((p.labels != IGNORE_INDEX).sum() for p in parts)
    assert abs(here - there) > 0.2 * (here + there)


def test_a_process_that_dies_ends_the_others_with_one_message(tmp_path):
    with pytest.raises(InputError, match=r"process 2 of 2 ended by SIGKILL \(out of memory\?\).*--resume"):
        start(two(), die_or_wait, tmp_path / "pid")
    if (tmp_path / "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_wrong_input_found_by_a_process_is_told_as_ever():
    with pytest.raises(InputError) as told:
        start(Processes(1, 1, LightningEnvironment()), refuse)
    assert told.value.offences == ["one", "two"]


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(InputError, match=r"devices: 4096 wanted, but this machine has \d+ processor cores"):
        gather(4096, 1, CPU)


def test_nodes_that_do_not_know_one_another_are_refused(monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="MASTER_ADDR, MASTER_PORT, NODE_RANK not set"):
        gather(1, 2, CPU)


def test_torchrun_and_slurm_are_known_by_their_own_variables(monkeypatch):
    assert gather(1, 1, CPU).is_first
    elastic = {"TORCHELASTIC_RUN_ID": "1", "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    elastic |= {"GROUP_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    with monkeypatch.context() as torchrun:
        for name, value in elastic.items():
            torchrun.setenv(name, value)
        found = gather(1, 1, CPU)
        assert (found.devices, found.nodes, found.to_be_started, found.is_first) == (2, 2, False, False)
    assert is_first_process()
    with monkeypatch.context() as node:
        node.setenv("NODE_RANK", "1")
        assert not is_first_process(), "the first node's process evaluates"
    slurm = {"SLURM_NTASKS": "6", "SLURM_STEP_NUM_TASKS": "6", "SLURM_NTASKS_PER_NODE": "3", "SLURM_PROCID": "0"}
    slurm |= {"SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    with monkeypatch.context() as srun:
        for name, value in slurm.items():
            srun.setenv(name, value)
        found = gather(1, 1, CPU)
        assert (found.devices, found.nodes, found.to_be_started, found.is_first) == (3, 2, False, True)
        srun.delenv("SLURM_NTASKS_PER_NODE")
        with pytest.raises(InputError, match="srun --ntasks-per-node=N"):
            gather(1, 1, CPU)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(InputError) as told:
        refuse_uneven({"train.batch": 5, "pretrain.batch": 8, "other.batch": 1}, two())
    assert told.value.offences == [
        "setting train.batch: 5 tiles a step cannot be shared by 2 processes; take a multiple, for example 6",
        "setting other.batch: 1 tiles a step cannot be shared by 2 processes; take a multiple, for example 2",
    ]


def test_what_the_first_process_refuses_is_refused():
    fabric = Processes(1, 1, LightningEnvironment()).fabric(CPU, torch.float32)
    assert agreed(fabric, lambda: 3) == 3
    with pytest.raises(InputError, match="no"):
        agreed(fabric, refuse_no)


def refuse_no():
    raise InputError("no")


def test_every_process_says_why_it_failed_and_shards_speak_all(monkeypatch, capsys, tmp_path):
    """Tasks of `srun predict --shard` work apart: the third is not to fall silent."""
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "2")
    assert command(["predict", str(tmp_path / "none"), "city.tif", "-o", str(tmp_path), "--shard", "3/4"]) == 2
    assert "reliefseg: " in capsys.readouterr().err
    Teller(quiet=False).note("as any other")
    assert "as any other" in capsys.readouterr().err
