"""What `training.py` measures, one case a process: images/s, share of the matrix rate, tile supply, peak memory."""

from __future__ import annotations

import logging
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from original import OriginalStep, plain_maps, read_batch, write_tiles
from reliefseg.hardware import pick_device, pick_precision, placed, use_processor
from reliefseg.learning.adversarial import Player, training_step
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.labelled_tiles import LabelledTiles, labelled_batch
from reliefseg.learning.optimiser import build_discriminator_optimiser, build_optimiser
from reliefseg.learning.pretraining import TileClassifier
from reliefseg.learning.settings import LossSettings, OptimiserSettings, TrainSettings
from reliefseg.learning.training import Training
from reliefseg.networks import STAGES, PatchDiscriminator, U2Net
from reliefseg.raster import Window
from reliefseg.tiles import Boxes, Normalisation, SceneArrays, SceneBank, TileSettings

BANDS, CLASSES, SIZE = 4, 5, 256
DEVICE = pick_device("auto")
WARM_UP, TIMED = 2, 5
Result = dict[str, Any]


def seconds(work: Callable[[], object], warm_up: int = WARM_UP, timed: int = TIMED) -> float:
    """Median time of one call."""
    times = []
    for _ in range(warm_up + timed):
        began = time.perf_counter()
        work()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[warm_up:])


def matrix_rate() -> Result:
    """GFLOP/s of square products in the precision of training: the best of three sizes."""
    use_processor(0)
    precision, rates = pick_precision("auto", DEVICE), {}
    for n in (1024, 2048, 4096):
        a, b = (torch.randn(n, n, device=DEVICE).to(precision) for _ in range(2))
        rates[n] = 2e-9 * n**3 / seconds(lambda a=a, b=b: a @ b)
    return {"gflops": max(rates.values()), "by_size": rates, "precision": str(precision).removeprefix("torch.")}


def gflop_per_image(network: str, *, pretraining: bool) -> float:
    """Floating-point operations of a step for an image: convolutions and products; backward is twice forward."""
    with torch.device("meta"), FlopCounterMode(display=False) as generator:
        bands, maps = torch.empty(1, BANDS, SIZE, SIZE), torch.empty(1, CLASSES, SIZE, SIZE)
        net = U2Net(BANDS, CLASSES, STAGES[network])
        TileClassifier(net, CLASSES).eval()(bands) if pretraining else net(bands)
    with torch.device("meta"), FlopCounterMode(display=False) as judge:
        PatchDiscriminator(BANDS, CLASSES)(bands, maps)
    # Real and fake: three each; the generator's judgement: forward and the gradient of its input.
    return (3 * generator.get_total_flops() + (0 if pretraining else 8 * judge.get_total_flops())) / 1e9


def adversarial(network: str, batch: int) -> Result:
    """Our step, tiles drawn from a bank."""
    use_processor(0)
    bank = a_bank(4, 1000)
    training = Training(
        U2Net(BANDS, CLASSES, STAGES[network]), BANDS, CLASSES, TrainSettings(batch=batch), _fabric(), 0
    )
    step = seconds(lambda: training.step(bank, 0, 1))
    supply = seconds(lambda: bank.random_tiles(0, 1, batch))
    return _result(step, batch, gflop_per_image(network, pretraining=False), supply)


def pretraining(network: str, batch: int) -> Result:
    """Our pretraining step."""
    use_processor(0)
    windows = [Window(SIZE * (i % 3), SIZE * (i // 3), SIZE, SIZE) for i in range(9)]
    tiles = LabelledTiles(a_bank(1, 1000), Boxes.of_windows([0] * 9, windows), np.eye(9, CLASSES, dtype=bool))
    fabric, settings = _fabric(), OptimiserSettings()
    classifier = placed(TileClassifier(U2Net(BANDS, CLASSES, STAGES[network]), CLASSES), DEVICE)
    model, optimiser = fabric.setup(classifier, build_optimiser(classifier.encoder_parameters(), settings))

    def step() -> None:
        bands, shown = labelled_batch(tiles, 0, 1, batch)
        loss = F.binary_cross_entropy_with_logits(model(bands).float(), shown)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(classifier.encoder_parameters(), settings.clip)
        optimiser.step()

    supply = seconds(lambda: labelled_batch(tiles, 0, 1, batch))
    return _result(seconds(step), batch, gflop_per_image(network, pretraining=True), supply)


@plain_maps()
def plain(network: str, batch: int) -> Result:
    """The same networks and step in plain eager float32: torch's memory format, torch's handling of memory."""
    bank = a_bank(4, 1000)
    net, judge = U2Net(BANDS, CLASSES, STAGES[network]).to(DEVICE), PatchDiscriminator(BANDS, CLASSES).to(DEVICE)
    players = (
        Player(net, build_optimiser(net.parameters(), OptimiserSettings()), 1.0),
        Player(judge, build_discriminator_optimiser(judge.parameters(), 2e-4), 1.0),
    )

    def step() -> None:
        tiles = bank.random_tiles(0, 1, batch)
        training_step(*players, tiles._replace(bands=tiles.bands.contiguous()), LossSettings())

    return _result(seconds(step, 1, 3), batch, gflop_per_image(network, pretraining=False))


def original(network: str, batch: int) -> Result:
    """The original's step on batches of its loader; memory as torch handles it."""
    return _original(network, batch)


def original_keeping_memory(network: str, batch: int) -> Result:
    """The same, helped by our setting of the allocator."""
    use_processor(0)
    return _original(network, batch)


@plain_maps()
def _original(network: str, batch: int) -> Result:
    step = OriginalStep(U2Net(BANDS, CLASSES, STAGES[network]), PatchDiscriminator(BANDS, CLASSES), DEVICE)
    with tempfile.TemporaryDirectory() as folder:
        write_tiles(Path(folder), batch, BANDS, CLASSES)

        def supply() -> tuple[torch.Tensor, torch.Tensor]:
            return read_batch(Path(folder), list(range(batch)), SIZE, DEVICE)

        bands, masks = supply()
        alone, loading = seconds(lambda: step(bands, masks), 1, 3), seconds(supply)
    return _result(alone + loading, batch, gflop_per_image(network, pretraining=False), loading)


def large_bank() -> Result:
    """A bank of Vaihingen's size: 33 scenes of 2,000 × 2,500 px, 4 bands and labels."""
    scenes = _scenes(33, 2000, 2500)
    raw = sum(s.bands.nbytes + s.labels.nbytes for s in scenes)
    norm = Normalisation((100.0,) * BANDS, (50.0,) * BANDS)
    began = time.perf_counter()
    bank = SceneBank(scenes, CLASSES, norm, TileSettings(), DEVICE)
    return {"seconds": time.perf_counter() - began, "bytes_over_raw": bank.nbytes / raw, "gigabytes": raw / 1e9}


def a_bank(count: int, side: int) -> SceneBank:
    """Scenes of noise: what they show costs nothing and changes no time."""
    scenes = _scenes(count, side, side)
    return SceneBank(scenes, CLASSES, Normalisation.of(scenes), TileSettings(size=SIZE), DEVICE)


def _scenes(count: int, height: int, width: int) -> list[SceneArrays]:
    rng = np.random.default_rng(0)
    bands = rng.integers(0, 256, (BANDS, height, width), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, (height, width), dtype=np.uint8)
    return [SceneArrays(bands, np.ones(labels.shape, bool), labels) for _ in range(count)]


def _fabric() -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    name = "bf16-mixed" if pick_precision("auto", DEVICE) == torch.bfloat16 else "32-true"
    return Fabric(accelerator=DEVICE.type, devices=1, precision=name)


def _result(step: float, batch: int, gflop: float, supply: float | None = None) -> Result:
    if DEVICE.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e9
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    share = None if supply is None else supply / step
    return {
        "seconds_per_step": step, "images_per_second": batch / step, "gflops": gflop * batch / step,
        "supply_share": share, "peak_gigabytes": peak,
    }  # fmt: skip
