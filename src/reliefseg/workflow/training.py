"""Training from a data set to a model bundle: depth, weak pretraining, adversarial training, whatever is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file

from reliefseg.config import Settings, read_settings, to_toml
from reliefseg.errors import InputError
from reliefseg.export import ModelSpec, save_bundle
from reliefseg.hardware import describe, pick_device, pick_precision, use_processor
from reliefseg.learning import pretraining
from reliefseg.learning import training as adversarial_training
from reliefseg.learning.checkpoint import steps_done
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.loop import Hooks
from reliefseg.learning.processes import Processes, agreed, start
from reliefseg.learning.run_folder import LOG, Log, NoLog, RunLog, held, unless_full
from reliefseg.learning.training import Training, seconds_per_step
from reliefseg.networks import Generator, PackedU2Net
from reliefseg.networks.tensors import write_tensors
from reliefseg.raster import Dataset
from reliefseg.raster.files import read_json, whole_file, write_json, write_text
from reliefseg.workflow.calibrating import calibrated
from reliefseg.workflow.making_depth import make_training_depth
from reliefseg.workflow.preparing import Preparation, prepare
from reliefseg.workflow.record import DATA, data_summary, environment, notes_on, refuse_changed
from reliefseg.workflow.saying import SILENT, Sayer, in_words
from reliefseg.workflow.settling import settled
from reliefseg.workflow.starting_weights import start_from_depth, start_from_official
from reliefseg.workflow.validating import panel_maker, validator

ENCODER, CHECKPOINTS = "encoder.safetensors", "checkpoints"
TRAINING = "training"
"""What progress calls the part that takes longest."""


def train(dataset: Dataset, run: Path, settings: Settings, *, resume: bool = False, say: Sayer = SILENT) -> Path:
    """Trains on a data set's training splits into the folder `run`; returns the model bundle's folder.

    Depth rasters, pretraining and adversarial training are done where they are missing. Checkpoints are picked, and
    the temperature is fitted, on validation scenes only; the test split is not read. InputError: wrong settings, a
    split that is missing, a run folder in use or holding another run, a machine that lacks what the settings ask for.
    """
    _learn(_train, dataset, run, settings, resume=resume, say=say)
    return run / "model"


def pretrain(dataset: Dataset, run: Path, settings: Settings, *, resume: bool = False, say: Sayer = SILENT) -> Path:
    """Tile-label pretraining alone; `train` with `resume` goes on from it. Returns the encoder's file."""
    _learn(_pretrain, dataset, run, settings, resume=resume, say=say)
    return run / ENCODER


Work = Callable[[Dataset, Path, Settings, Fabric, Log, Sayer], object]


def _train(dataset: Dataset, run: Path, settings: Settings, fabric: Fabric, log: Log, say: Sayer) -> None:
    prepared = _prepared(dataset, run, settings, fabric, log, say)
    generator = _pretrained(prepared, run, fabric, log, say)
    network = _trained(prepared, generator, run, fabric, log, say)
    spec = _calibrated(prepared, network, fabric, log, say)
    if fabric.is_global_zero:
        save_bundle(run / "model", spec, network)


def _pretrain(dataset: Dataset, run: Path, settings: Settings, fabric: Fabric, log: Log, say: Sayer) -> None:
    prepared = _prepared(dataset, run, settings, fabric, log, say)
    if prepared.tiles is None or not settings.pretrain.steps:
        raise InputError(
            f"data set {dataset.name}: no tile labels to pretrain on (splits.tile_labelled and [tile_labels]), or "
            "pretrain.steps is 0"
        )
    _pretrained(prepared, run, fabric, log, say)


def _learn(work: Work, dataset: Dataset, run: Path, settings: Settings, *, resume: bool, say: Sayer) -> None:
    """Holds the run folder and does the work here, or in a new process a device."""
    if resume:
        settings = _begun(run)
    settings, processes = settled(run, settings, resume=resume)
    with ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(held(run))
            if not resume:
                _refuse_begun(run)

        if processes.to_be_started:
            if processes.is_first:
                begin()
                make_training_depth(dataset, settings, say)
            start(processes, _in_process, work, dataset, run, settings, processes, say)
        else:
            _in_process(work, dataset, run, settings, processes, say, begin)


def _in_process(
    work: Work,
    dataset: Dataset,
    run: Path,
    settings: Settings,
    processes: Processes,
    say: Sayer,
    begin: Callable[[], None] = lambda: None,
) -> None:
    """The work of one process; only the first writes and speaks."""
    use_processor(settings.threads)
    device = pick_device(settings.device)
    fabric = processes.fabric(device, pick_precision(settings.precision, device))
    agreed(fabric, begin)
    log = RunLog(run) if fabric.is_global_zero else NoLog()
    try:
        work(dataset, run, settings, fabric, log, say if fabric.is_global_zero else SILENT)
    finally:
        log.close()


def is_begun(run: Path) -> bool:
    """Whether a run has been begun in this folder, so that `resume` would go on with it."""
    return (run / DATA).exists()


def _begun(run: Path) -> Settings:
    if not is_begun(run):
        raise InputError(f"run folder {run}: nothing to resume (no {DATA}); start without --resume")
    return read_settings(run / "config.toml")


def _refuse_begun(run: Path) -> None:
    """InputError where something was learnt already; what a start that was refused has left is forgotten."""
    if any((run / CHECKPOINTS).glob("*")) or any((run / name).exists() for name in (ENCODER, "model")):
        raise InputError(f"run folder {run}: holds a run already; go on with --resume, or choose another with -o")
    for name in (DATA, LOG):
        (run / name).unlink(missing_ok=True)


@contextmanager
def _timed(log: Log, part: str) -> Iterator[None]:
    """Logs how long a part of the work took."""
    began = time.monotonic()
    yield
    log.write("run", "timing", part=part, seconds=round(time.monotonic() - began, 2))


def _prepared(dataset: Dataset, run: Path, settings: Settings, fabric: Fabric, log: Log, say: Sayer) -> Preparation:
    with _timed(log, "read scenes and depth"):
        if fabric.world_size > 1:
            agreed(fabric, lambda: make_training_depth(dataset, settings, say))
        prepared = prepare(dataset, settings, fabric.device, say)
    agreed(fabric, lambda: _write_down(dataset, prepared, run, fabric, log, say))
    return prepared


def _write_down(dataset: Dataset, prepared: Preparation, run: Path, fabric: Fabric, log: Log, say: Sayer) -> None:
    summary = data_summary(dataset, prepared)
    if (run / DATA).exists():
        refuse_changed(read_json(run / DATA), summary, run)
    write_text(run / "config.toml", to_toml(prepared.settings))
    write_json(run / "environment.json", environment(fabric.device, prepared.settings, fabric.world_size))
    write_json(run / DATA, summary)  # last: what lies there is begun
    for text in notes_on(dataset, prepared):
        _told(log, say)(text)


def _told(log: Log, say: Sayer) -> Callable[[str], None]:
    """Both writes a note down and says it."""

    def tell(text: str) -> None:
        log.note(text)
        say.note(text)

    return tell


def _pretrained(prepared: Preparation, run: Path, fabric: Fabric, log: Log, say: Sayer) -> Generator:
    """The generator, its encoder pretrained where there are tile labels (or taken from an earlier pretraining)."""
    settings, spec = prepared.settings, prepared.spec
    torch.manual_seed(settings.seed)
    generator = spec.build_network()
    pretrains = prepared.tiles is not None and settings.pretrain.steps > 0
    if pretrains and agreed(fabric, (run / ENCODER).exists):
        generator.load_state_dict(load_file(run / ENCODER))
        return generator
    if settings.network.weights is not None:
        start_from_official(generator, Path(settings.network.weights), log)
    if isinstance(generator, PackedU2Net) and settings.network.init == "builtin":
        start_from_depth(generator, spec.bands, settings.depth, log)
    if prepared.tiles is None or not pretrains:
        return generator
    _refuse_large_batch(prepared, fabric)
    with say.progress("pretraining on tile labels") as tick:
        pretraining.pretrain(
            generator, prepared.tiles, prepared.held_out, settings.pretrain, fabric, run / CHECKPOINTS, log,
            settings.seed, spec.class_table.names, Hooks(progress=tick, tell=_told(log, say)),
            settings.train.checkpoint_minutes,
        )  # fmt: skip
    if fabric.is_global_zero:
        with whole_file(run / ENCODER) as aside:
            write_tensors(aside, generator.state_dict())
    return generator


def _refuse_large_batch(prepared: Preparation, fabric: Fabric) -> None:
    """What does not fit into training is said before pretraining, which settles the settings."""
    settings, spec = prepared.settings, prepared.spec
    with torch.random.fork_rng(devices=[]):
        network, lessons = spec.build_network(), prepared.lessons
        training = Training(network, spec.inputs, len(spec.classes), settings.train, fabric, settings.seed, lessons)
        training.refuse_large_batch(settings.tiles.size)


def _trained(prepared: Preparation, generator: Generator, run: Path, fabric: Fabric, log: Log, say: Sayer) -> Generator:
    settings, spec = prepared.settings, prepared.spec
    seed = settings.seed
    training = Training(generator, spec.inputs, len(spec.classes), settings.train, fabric, seed, prepared.lessons)
    steps = settings.train.steps - agreed(fabric, lambda: steps_done(run / CHECKPOINTS, training.phase))
    if steps:
        training.refuse_large_batch(settings.tiles.size)
        time = in_words(seconds_per_step(training, prepared.pixels) * steps)
        say.note(f"training: {steps:,} steps, about {time} on {describe(fabric.device)}, validation not counted")
    with say.progress(TRAINING) as tick:
        hooks = Hooks(progress=tick, tell=_told(log, say))
        if prepared.validation:
            hooks = Hooks(validator(prepared, fabric), _shower(prepared, run, fabric, hooks.tell), tick, hooks.tell)
        network = adversarial_training.train(training, prepared.pixels, run / CHECKPOINTS, log, seed, hooks)
    if training.best.step is not None:
        log.note(
            f"The model is the averaged network after step {training.best.step:,}, which has the best mean IoU "
            f"on validation: {training.best.score:.3f}."
        )
    return network


def _calibrated(prepared: Preparation, network: Generator, fabric: Fabric, log: Log, say: Sayer) -> ModelSpec:
    """What the model is, with its temperature where there are validation scenes."""
    if not prepared.validation:
        return prepared.spec
    with _timed(log, "fitting the temperature"), say.progress("fitting the temperature") as tick:
        return calibrated(prepared, network, fabric, tick, _told(log, say))


def _shower(
    prepared: Preparation, run: Path, fabric: Fabric, tell: Callable[[str], None]
) -> Callable[[Generator, int], None]:
    """Draws progress pictures in the first process; a full disk leaves one out."""
    draw = panel_maker(prepared, run)

    def show(network: Generator, percent: int) -> None:
        with unless_full(lambda error: tell(f"The disk is full: no picture of the progress at {percent} %.")):
            if fabric.is_global_zero:
                draw(network, percent)

    return show
