"""Training the depth network of our own: on generated scenes, or on a user's scenes that have heights."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reliefseg.depth.disguise import disguised
from reliefseg.depth.heights import HeightCard, HeightNetwork, load_heights, save_heights
from reliefseg.depth.losses import fitting_loss
from reliefseg.depth.pool import FittingScene, draw_tiles
from reliefseg.depth.scoring import HeightScores, score_heights
from reliefseg.errors import InputError
from reliefseg.hardware import pick_precision, placed, use_processor
from reliefseg.learning.average import AveragedNetwork
from reliefseg.learning.checkpoint import (
    Checkpoint,
    load_checkpoint,
    network_tensors,
    newest_checkpoint,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
    save_checkpoint,
)
from reliefseg.learning.optimiser import set_rate
from reliefseg.learning.run_folder import RunLog, held
from reliefseg.raster import Dataset, explain
from reliefseg.raster.files import hash_file, read_json_if_whole, whole_file, write_json, write_text
from reliefseg.workflow.fitting_scenes import fitting_scenes, held_out_scenes
from reliefseg.workflow.saying import SILENT, Sayer, Tick

PHASE, FIT_SETTINGS, SCENES, START = "fit", "settings.json", "scenes.json", "start.safetensors"
LOOKS = 12
"""How often in a training the network is scored, and kept where it is best."""
WARMUP = 0.03
AVERAGE = 0.995
"""Decay of the averaged weights, which are what is scored and kept."""
WEIGHT_DECAY = 0.01
LARGEST_NORM = 1.0
LOGGED = 50


class FitSettings(BaseModel):
    """How the depth network is trained. `steps` or `minutes`, whichever comes first, end it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenes: int = Field(200, ge=1)
    """Generated scenes, or at most so many pieces of a data set's scenes; each takes 6 MB of memory."""
    seed: int = Field(0, ge=0, lt=2**63)
    steps: int = Field(4000, ge=1)
    minutes: float | None = Field(None, gt=0)
    batch: int = Field(8, ge=2)
    tile: int = Field(256, ge=64, multiple_of=64)
    """Side of a tile, pixels; windows in prediction are as large."""
    lr: float = Field(2e-3, gt=0)
    threads: int = Field(0, ge=0)

    @classmethod
    def checked(cls, **values: Any) -> FitSettings:
        """The settings from loose values; an `InputError` names all that are wrong and what they may be."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(explain(error, cls, "depth fit")) from error


def fit_depth(
    out: Path,
    settings: FitSettings,
    dataset: Dataset | None = None,
    *,
    start: Path | None = None,
    resume: bool = False,
    say: Sayer = SILENT,
) -> HeightScores:
    """Trains the depth network and writes the best weights to the file `out`; returns their scores.

    Without a data set it learns from generated scenes. With one, from the scenes of its training splits that have
    heights; best is then what is best on its validation scenes with heights, else on generated scenes. Training
    starts from the weights `start` where given. Checkpoints and log lie beside `out` in a folder that ends in `.fit`.
    InputError where that folder holds a training on other scenes.
    """
    if out.suffix != ".safetensors" or out.is_dir():
        raise InputError(f"depth fit {out}: the file to write comes first, *.safetensors; a data set comes after it")
    work = out.with_suffix(".fit")
    with held(work):
        settings = _settings_of(work, settings, resume=resume)
        if resume:
            _refuse_other_scenes(work, dataset)
        use_processor(settings.threads)
        training = fitting_scenes(settings.seed, settings.scenes, dataset, say)
        unseen = held_out_scenes(settings.seed, dataset, say)
        begun_from = _start_of(work, start, resume=resume)
        write_json(work / SCENES, _scenes(dataset))
        write_text(work / FIT_SETTINGS, settings.model_dump_json(indent=1) + "\n")
        log = RunLog(work)
        try:
            fitting = _Fitting(out, work, settings, training, unseen, log)
            fitting.begin(begun_from)
            with say.progress("fitting depth") as tick:
                return fitting.run(tick, say)
        finally:
            log.close()


def _settings_of(work: Path, settings: FitSettings, *, resume: bool) -> FitSettings:
    """Settings of this training, or those in its folder to resume."""
    file = work / FIT_SETTINGS
    if resume:
        if not file.exists():
            raise InputError(f"{work}: nothing to resume; start without --resume")
        return FitSettings.model_validate_json(file.read_text(encoding="utf-8"))
    if file.exists():
        raise InputError(f"{work}: holds a training already; go on with --resume, or write to another file")
    return settings


def _start_of(work: Path, start: Path | None, *, resume: bool) -> Path | None:
    """The weights a training starts from, as its folder keeps them; InputError where --resume names others."""
    kept = work / START
    if not resume:
        kept.unlink(missing_ok=True)
        if start is not None:
            load_heights(start)
            with whole_file(kept) as part:
                shutil.copyfile(start, part)
    elif start is not None and not (kept.exists() and hash_file(start) == hash_file(kept)):
        raise InputError(f"{work}: was not begun from {start}; leave --start out, or write to another file")
    return kept if kept.exists() else None


def _scenes(dataset: Dataset | None) -> dict[str, str | None]:
    """What a training learns from, as its folder keeps it."""
    return {"data_set": None if dataset is None else str(dataset.file.resolve())}


def _refuse_other_scenes(work: Path, dataset: Dataset | None) -> None:
    """InputError where a training would go on with other scenes than it was begun with."""
    here = _scenes(dataset)
    there = read_json_if_whole(work / SCENES) or here
    if there != here:
        began, found = (one["data_set"] or "generated scenes" for one in (there, here))
        raise InputError(f"{work}: was begun on {began}, not {found}; name that again, or write to another file")


class _Fitting:
    """A training in progress. Everything random is a pure function of seed and step."""

    def __init__(
        self, out: Path, work: Path, settings: FitSettings, training: Sequence[FittingScene],
        unseen: Sequence[FittingScene], log: RunLog,
    ):  # fmt: skip
        self.out, self.work, self.settings, self.log = out, work, settings, log
        self.training, self.unseen = training, unseen
        logging.getLogger("PIL").setLevel(logging.WARNING)
        torch.manual_seed(settings.seed)
        self.network = placed(HeightNetwork(), torch.device("cpu"))
        self.averaged = AveragedNetwork(self.network, AVERAGE)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.lr, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.precision = pick_precision("auto", torch.device("cpu"))
        self.step, self.seconds, self.best = 0, 0.0, HeightScores(-1.0, 0.0)
        tallest = np.concatenate([scene.metres[::8, ::8].ravel() for scene in training]).astype(np.float32)
        self.range_m = max(1.0, float(np.nanpercentile(tallest, 99)))

    def begin(self, start: Path | None) -> None:
        """From the newest checkpoint, else from the weights of `start`, else from random ones."""
        newest = newest_checkpoint(self.work / "checkpoints", PHASE, self.log.note)
        if newest is not None:
            found = load_checkpoint(newest)
            restore_network(self.network, "network", found.tensors)
            restore_network(self.averaged.network, "averaged", found.tensors)
            restore_optimiser(self.optimiser, "optimiser", found.tensors)
            self.step, self.seconds = found.step, found.values["seconds"]
            self.best = HeightScores(*found.values["best"])
        elif start is not None:
            self.network.load_state_dict(load_heights(start)[0].state_dict())
            self.averaged = AveragedNetwork(self.network, AVERAGE)
        self.log.cut_back(PHASE, self.step)

    def run(self, tick: Tick, say: Sayer) -> HeightScores:
        """Steps until steps or minutes are used up; scores and keeps what is best on the way."""
        next_look = int(self.done * LOOKS) + 1
        while self.done < 1:
            began = time.monotonic()
            loss = self._one_step()
            self.seconds += time.monotonic() - began
            tick(int(self.done * 1000), 1000)
            if self.step % LOGGED == 0:
                self.log.write(PHASE, "step", step=self.step, loss=loss, seconds=round(self.seconds, 1))
            if self.done * LOOKS >= next_look or self.done >= 1:
                next_look = int(self.done * LOOKS) + 1
                self._look(say)
        return self.best

    @property
    def done(self) -> float:
        """How much of the training is over, 0 … 1."""
        minutes = self.settings.minutes
        by_time = self.seconds / (60 * minutes) if minutes else 0.0
        return min(1.0, max(self.step / self.settings.steps, by_time))

    def _one_step(self) -> float:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.step])
        tiles = draw_tiles(self.training, settings.tile, settings.batch, rng)
        photos = disguised(tiles, rng).contiguous(memory_format=torch.channels_last)
        set_rate(self.optimiser, settings.lr, _rate(self.done))
        self.network.train()
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            seen = self.network(photos)
        loss = fitting_loss(seen, tiles.metres, tiles.known)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_NORM)
        self.optimiser.step()
        self.averaged.update(self.network, self.step)
        self.step += 1
        return float(loss.detach())

    def _look(self, say: Sayer) -> None:
        """Scores the averaged network on scenes it never saw, keeps it where it is best, and saves a checkpoint."""
        scores = score_heights(self.averaged.network, self.unseen, self.settings.tile)
        self.log.write(PHASE, "score", step=self.step, **scores._asdict())
        say.note(f"step {self.step:,}: {scores.in_words()}")
        if scores.correlation > self.best.correlation:
            self.best = scores
            save_heights(self.out, self.averaged.network, self._card())
        tensors = {
            **network_tensors("network", self.network),
            **network_tensors("averaged", self.averaged.network),
            **optimiser_tensors("optimiser", self.optimiser),
        }
        values: dict[str, Any] = {"seconds": self.seconds, "best": list(self.best)}
        save_checkpoint(self.work / "checkpoints", Checkpoint(PHASE, self.step, tensors, values))

    def _card(self) -> HeightCard:
        figures = {name: value for name, value in self.best._asdict().items() if value is not None}
        made = {"step": self.step, "seconds": round(self.seconds), "seed": self.settings.seed, **figures}
        return HeightCard(range_m=self.range_m, window=self.settings.tile, trained=made)


def _rate(done: float) -> float:
    """Learning rate as a share of the highest: a short rise, then a cosine to nought."""
    if done < WARMUP:
        return (done + WARMUP / 50) / WARMUP
    return 0.5 * (1 + cos(pi * (done - WARMUP) / (1 - WARMUP)))
