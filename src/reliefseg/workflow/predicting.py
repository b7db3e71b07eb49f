"""Trained models on scenes outside any data set: georeferenced class maps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from reliefseg.depth import make_depth
from reliefseg.errors import InputError
from reliefseg.export import load_bundle
from reliefseg.hardware import pick_device, pick_precision
from reliefseg.inference import ScenePredictor
from reliefseg.raster import ClassTable, Scene, open_scene, write_class_map
from reliefseg.raster.files import probe_folder
from reliefseg.workflow.saying import SILENT, Sayer

SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Model:
    """A trained model as a notebook wants it."""

    predictor: ScenePredictor
    cache: Path | None = None

    @property
    def classes(self) -> ClassTable:
        """The classes, in the order of the ids that `predict` returns."""
        return self.predictor.spec.class_table

    def predict(self, image: Path | str) -> UInt8[np.ndarray, "h w"]:
        """Class ids of a whole scene on its own grid; 255 where it is not valid."""
        scene = self.open(Path(image))
        return self.predictor.class_ids(self.predictor.read(scene, self._depth(scene)))

    def probabilities(self, image: Path | str) -> Float32[np.ndarray, "classes h w"]:
        """Class probabilities of a whole scene on its own grid; they sum to one."""
        scene = self.open(Path(image))
        return self.predictor.probabilities(self.predictor.read(scene, self._depth(scene)))

    def open(self, image: Path) -> Scene:
        """The scene in this file; InputError where its bands are not the model's."""
        spec = self.predictor.spec
        return open_scene(image, bands=spec.scene_bands, classes=spec.class_table)

    def _depth(self, scene: Scene) -> Path | None:
        settings = self.predictor.spec.depth
        if settings.source == "none":
            return None
        cache = self.cache or scene.image.parent / ".reliefseg"
        return make_depth([scene], settings, cache)[scene.name]


def load_model(
    path: Path | str, device: str = "auto", *, batch: int = 4, threads: int = 0, cache: Path | None = None
) -> Model:
    """The model in a run folder or bundle, ready to predict; InputError where there is none or it is damaged."""
    spec, network = load_bundle(Path(path))
    chosen = pick_device(device)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    predictor = ScenePredictor(spec, network, chosen, batch=batch, precision=pick_precision("auto", chosen))
    return Model(predictor, cache)


def find_scenes(arguments: Sequence[str]) -> list[Path]:
    """Files, folders and globs as a list of scenes; InputError names every argument that gives none."""
    found, missing = [], []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            here = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.exists():
            here = [path]
        else:
            here = sorted(Path(path.anchor or ".").glob(argument.removeprefix(path.anchor)))
        found += here
        missing += [] if here else [f"{argument}: no scene here; expected a file, a folder with images, or a glob"]
    if missing:
        raise InputError(missing)
    return list(dict.fromkeys(found))


def predict(
    run: Path, scenes: Sequence[Path], out: Path, *, cache: Path | None = None, say: Sayer = SILENT
) -> list[Path]:
    """Writes a class map, `OUT/<scene>.tif`, for every scene, on its own grid with class colours; returns the files.

    Depth that is not there yet is made on the way. All scenes are opened before the first is computed, so that wrong
    ones are told at once.
    """
    model = load_model(run, cache=cache)
    opened, faults = [], []
    for path in scenes:
        try:
            opened.append(model.open(path))
        except InputError as error:
            faults += error.offences
    faults += _twins(scenes, out)
    if faults:
        raise InputError(faults)
    probe_folder(out)
    return [_predict_scene(model, scene, out / f"{scene.name}.tif", say) for scene in opened]


def _twins(scenes: Sequence[Path], out: Path) -> list[str]:
    """Scenes whose maps would overwrite one another, or the scene itself."""
    by_name: dict[str, list[Path]] = {}
    for path in scenes:
        by_name.setdefault(path.stem, []).append(path)
    faults = [
        f"scenes {', '.join(map(str, paths))}: maps would all be {name}.tif; predict them into different folders"
        for name, paths in by_name.items()
        if len(paths) > 1
    ]
    own = [p for p in scenes if (out / f"{p.stem}.tif").resolve() == p.resolve()]
    return faults + [f"{p}: its map would overwrite it; choose another folder with -o" for p in own]


def _predict_scene(model: Model, scene: Scene, target: Path, say: Sayer) -> Path:
    depth = model._depth(scene)
    with say.progress(scene.name) as tick:
        class_ids = model.predictor.class_ids(model.predictor.read(scene, depth), tick)
    write_class_map(target, class_ids, scene.grid, model.classes)
    return target
