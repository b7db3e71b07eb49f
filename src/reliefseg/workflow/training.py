"""Training from a data set to a model bundle: depth, weak pretraining, adversarial training, whatever is missing."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file

from reliefseg import learning
from reliefseg.config import Settings, read_settings, to_toml
from reliefseg.errors import InputError
from reliefseg.evaluation import confusion_matrix, scores_from_confusion
from reliefseg.evaluation.pictures import PanelTile, class_panels, photograph
from reliefseg.export import save_bundle
from reliefseg.hardware import describe, pick_device, pick_precision, use_processor
from reliefseg.inference import ScenePredictor
from reliefseg.learning import Hooks, RunLog, Training, held, seconds_per_step
from reliefseg.networks import STAGES, U2Net, load_official
from reliefseg.raster import Dataset, Window, color_text
from reliefseg.raster.files import whole_file, write_json, write_text
from reliefseg.tiles import SceneArrays
from reliefseg.workflow.preparing import Preparation, prepare
from reliefseg.workflow.saying import SILENT, Sayer, in_words, timed

ENCODER = "encoder.safetensors"


def start_run(run: Path, settings: Settings, *, resume: bool) -> Settings:
    """The settings a run goes by: written into a new run folder, or read from it to resume."""
    config = run / "config.toml"
    if resume:
        if not config.exists():
            raise InputError(f"run folder {run}: nothing to resume (no config.toml); start without --resume")
        return read_settings(config)
    if config.exists():
        raise InputError(f"run folder {run}: holds a run already; go on with --resume, or choose another with -o")
    return settings


def train(dataset: Dataset, run: Path, settings: Settings, *, resume: bool = False, say: Sayer = SILENT) -> Path:
    """Trains on a data set's training splits into the folder `run`; returns the model bundle's folder.

    Depth rasters, pretraining and adversarial training are done where they are missing. Checkpoints are picked on
    validation scenes only; the test split is not read. InputError: wrong settings, a split that is missing, a run
    folder in use or holding another run.
    """
    with held(run):
        settings = start_run(run, settings, resume=resume)
        device = pick_device(settings.device)
        precision = pick_precision(settings.precision, device)
        use_processor(settings.threads)
        log = RunLog(run)
        try:
            prepared = _prepared(dataset, run, settings, device, log, say)
            fabric = _fabric(device, precision)
            generator = _pretrained(prepared, run, fabric, log, say)
            network = _trained(prepared, generator, run, fabric, log, say)
            save_bundle(run / "model", prepared.spec, network)
        finally:
            log.close()
    return run / "model"


def pretrain(dataset: Dataset, run: Path, settings: Settings, *, resume: bool = False, say: Sayer = SILENT) -> Path:
    """Tile-label pretraining alone; `train` with `resume` goes on from it. Returns the encoder's file."""
    with held(run):
        settings = start_run(run, settings, resume=resume)
        device = pick_device(settings.device)
        use_processor(settings.threads)
        log = RunLog(run)
        try:
            prepared = _prepared(dataset, run, settings, device, log, say)
            if prepared.tiles is None:
                raise InputError(
                    f"data set {dataset.name}: no tile labels to pretrain on (splits.tile_labelled and [tile_labels])"
                )
            _pretrained(prepared, run, _fabric(device, pick_precision(settings.precision, device)), log, say)
        finally:
            log.close()
    return run / ENCODER


def _fabric(device: torch.device, precision: torch.dtype) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    name = "bf16-mixed" if precision == torch.bfloat16 else "32-true"
    return Fabric(accelerator=device.type, devices=1, precision=name)  # type: ignore[arg-type]


def _timings(log: RunLog) -> Callable[[str, float], None]:
    return lambda part, seconds: log.write("run", "timing", part=part, seconds=seconds)


def _prepared(
    dataset: Dataset, run: Path, settings: Settings, device: torch.device, log: RunLog, say: Sayer
) -> Preparation:
    with timed(_timings(log), "read scenes and depth"):
        prepared = prepare(dataset, settings, device, say)
    write_text(run / "config.toml", to_toml(prepared.settings))
    write_json(run / "environment.json", environment(device, prepared.settings))
    tiles = 0 if prepared.tiles is None else len(prepared.tiles)
    write_json(run / "data.json", data_summary(dataset, prepared, tiles))
    for text in _notes(dataset, prepared, tiles):
        log.note(text)
        say.note(text)
    return prepared


def _notes(dataset: Dataset, prepared: Preparation, tiles: int) -> list[str]:
    settings, notes = prepared.settings, []
    shown = int(prepared.pixels.layout.labelled_pixels)
    scenes = len(dataset.split("pixel_labelled"))
    notes.append(
        f"{scenes} pixel-labelled scenes ({shown / 1e6:.1f} Mpx with a class), {tiles} tile labels; "
        f"depth: {settings.depth.source}"
    )
    without = [n for n, c in zip(dataset.classes.names, prepared.pixels.layout.pixels_per_class, strict=True) if not c]
    if without:
        notes.append(f"No pixel-labelled scene shows {', '.join(without)}: that cannot be learnt.")
    if settings.pretrain.steps and not tiles:
        notes.append("No tile labels: pretraining is left out.")
    if settings.validation.blocks:
        notes.append("Checkpoints are picked on one quarter of each pixel-labelled scene (validation.blocks).")
    elif not prepared.validation:
        notes.append("No validation scenes: nothing is picked; the averaged weights of the last step are the result.")
    return notes


def _pretrained(prepared: Preparation, run: Path, fabric: Fabric, log: RunLog, say: Sayer) -> U2Net:
    """The generator, its encoder pretrained where there are tile labels (or taken from an earlier pretraining)."""
    settings, spec = prepared.settings, prepared.spec
    torch.manual_seed(settings.seed)
    generator = U2Net(spec.inputs, len(spec.classes), STAGES[spec.network])
    if settings.network.weights is not None:
        _start_from_official(generator, Path(settings.network.weights), log)
    if prepared.tiles is None:
        return generator
    if (run / ENCODER).exists():
        generator.load_state_dict(load_file(run / ENCODER))
        return generator
    with timed(_timings(log), "pretraining"), say.progress("pretraining on tile labels") as tick:
        learning.pretrain(
            generator, prepared.tiles, prepared.held_out, settings.pretrain, fabric,
            run / "checkpoints", log, settings.seed, spec.class_table.names, tick,
        )  # fmt: skip
    with whole_file(run / ENCODER) as aside:
        save_file({k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}, aside)
    return generator


def _start_from_official(generator: U2Net, path: Path, log: RunLog) -> None:
    try:
        dropped = load_official(generator, load_file(path))
    except (OSError, ValueError) as error:
        raise InputError(f"setting network.weights: {path} cannot be loaded: {error}") from None
    log.note(f"Started from {path.name}; dropped by name: {', '.join(dropped) or 'nothing'}.")


def _trained(prepared: Preparation, generator: U2Net, run: Path, fabric: Fabric, log: RunLog, say: Sayer) -> U2Net:
    settings, spec = prepared.settings, prepared.spec
    training = Training(generator, spec.inputs, len(spec.classes), settings.train, fabric, settings.seed)
    seconds = seconds_per_step(training, prepared.pixels) * settings.train.steps
    say.note(
        f"training: {settings.train.steps:,} steps, about {in_words(seconds)} on {describe(fabric.device)}, "
        "validation not counted"
    )
    with timed(_timings(log), "training and validation"), say.progress("training") as tick:
        hooks = Hooks(progress=tick)
        if prepared.validation:
            hooks = Hooks(_validator(prepared), _panel_maker(prepared, run), tick)
        network = learning.train(training, prepared.pixels, run / "checkpoints", log, settings.seed, hooks)
    if training.best_step is not None:
        log.note(
            f"The model is the averaged network after step {training.best_step:,}, which has the best mean IoU "
            f"on validation: {training.best_score:.3f}."
        )
    return network


def _validator(prepared: Preparation) -> Callable[[U2Net], dict[str, Any]]:
    names = prepared.spec.class_table.names

    def validate(network: U2Net) -> dict[str, Any]:
        predictor = predictor_of(prepared, network)
        total = np.zeros((len(names), len(names)), dtype=np.int64)
        for scene in prepared.validation:
            total += confusion_matrix(scene.arrays.labels, predictor.class_ids(scene.arrays), len(names))
        return scores_from_confusion(total, names)

    return validate


def predictor_of(prepared: Preparation, network: U2Net) -> ScenePredictor:
    """A predictor that computes as training does."""
    settings = prepared.settings
    device = prepared.pixels.device
    return ScenePredictor(
        prepared.spec,
        network,
        device,
        batch=settings.prediction.batch,
        precision=pick_precision(settings.precision, device),
    )


def _panel_maker(prepared: Preparation, run: Path) -> Callable[[U2Net, int], None]:
    """Draws the same four validation tiles, whatever the percentage: the middles of four scenes."""
    table = prepared.spec.class_table
    chosen = prepared.validation[:: max(1, len(prepared.validation) // 4)][:4]
    side = round(prepared.settings.tiles.box_side)
    tiles = [(scene.name, _middle(scene.arrays, side)) for scene in chosen]

    def show(network: U2Net, percent: int) -> None:
        predictor = predictor_of(prepared, network)
        panels = [
            PanelTile(name, photograph(t.bands, prepared.spec.bands, t.valid), predictor.probabilities(t), t.labels)
            for name, t in tiles
        ]
        class_panels(run / "progress" / f"{percent:03d}.png", panels, table)

    return show


def _middle(arrays: SceneArrays, side: int) -> SceneArrays:
    """The middle of a scene, `side` pixels high and wide where it is that large."""
    height, width = arrays.valid.shape
    window = Window((height - side) // 2, (width - side) // 2, side, side).clipped(height, width)
    cut = (slice(None), *window.slices)
    return replace(
        arrays,
        bands=arrays.bands[cut],
        valid=arrays.valid[window.slices],
        labels=arrays.labels[window.slices],
        depth=None if arrays.depth is None else arrays.depth[window.slices],
    )


def environment(device: torch.device, settings: Settings) -> dict[str, Any]:
    """What a run was computed with."""
    return {
        "reliefseg": version("reliefseg"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device.type,
        "processor": describe(device),
        "precision": str(pick_precision(settings.precision, device)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def data_summary(dataset: Dataset, prepared: Preparation, tiles: int) -> dict[str, Any]:
    """What the report says of the data."""
    splits = {
        name: [
            {
                "name": s.name,
                "height": s.grid.height,
                "width": s.grid.width,
                "megapixels": s.grid.height * s.grid.width / 1e6,
            }
            for s in dataset.split(name)
        ]
        for name in dataset.splits
    }
    counts = prepared.pixels.layout.pixels_per_class
    return {
        "name": dataset.name,
        "bands": [*prepared.spec.bands, *(["depth"] if prepared.spec.uses_depth else [])],
        "classes": [
            {"name": c.name, "color": color_text(c.color), "labelled_pixels": int(n)}
            for c, n in zip(dataset.classes.classes, counts, strict=True)
        ],
        "splits": splits,
        "tile_labels": tiles,
        "labelled_megapixels": int(counts.sum()) / 1e6,
        "warnings": [],
        "notes": [],
    }
