"""The settings of a run with every choice made that a machine has to make."""

from __future__ import annotations

from pathlib import Path

import torch

from reliefseg.config import Settings
from reliefseg.errors import InputError
from reliefseg.hardware import pick_device, pick_precision
from reliefseg.learning.processes import Processes, gather, refuse_uneven


def settled(run: Path, settings: Settings, *, resume: bool) -> tuple[Settings, Processes]:
    """The settings with device, precision, threads and processes chosen, so that a resumed run takes the same."""
    try:
        device = pick_device(settings.device)
        processes = gather(settings.devices, settings.nodes, device)
        precision = str(pick_precision(settings.precision, device)).removeprefix("torch.")
    except InputError as error:
        if not resume:
            raise
        raise InputError(
            f"run folder {run}: was begun on another machine: {offence}. Resume it there, or change {run}/config.toml "
            "(its weights will then differ in rounding)"
            for offence in error.offences
        ) from None
    train, pretrain = settings.train, settings.pretrain
    batches = {"train.batch": train.batch, "train.lessons.batch": train.lessons.batch}
    if pretrain.steps:
        batches["pretrain.batch"] = pretrain.batch
    refuse_uneven(batches, processes)
    here = processes.devices if device.type == "cpu" else 1
    chosen = {
        "device": device.type,
        "precision": precision,
        "threads": settings.threads or max(1, torch.get_num_threads() // here),
        "devices": processes.devices,
        "nodes": processes.nodes,
    }
    return _found_anywhere(settings).model_copy(update=chosen), processes


def _found_anywhere(settings: Settings) -> Settings:
    """The settings with whole paths, found from any folder that the run is resumed or its model used in."""
    network, depth = settings.network, settings.depth
    model = _whole(depth.model) if Path(depth.model).expanduser().is_dir() else depth.model  # else an id of the hub
    return settings.model_copy(
        update={
            "network": network.model_copy(update={"weights": _whole(network.weights)}),
            "depth": depth.model_copy(update={"weights": _whole(depth.weights), "model": model}),
        }
    )


def _whole(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().resolve())
