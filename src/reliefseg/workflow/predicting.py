"""Trained models on scenes outside any data set: georeferenced class maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from reliefseg.depth import make_depth
from reliefseg.errors import InputError
from reliefseg.export import load_bundle
from reliefseg.hardware import pick_device, pick_precision, use_processor
from reliefseg.inference import ScenePredictor
from reliefseg.raster import ClassTable, Scene, SceneFiles, default_cache, write_class_map
from reliefseg.raster.files import probe_folder
from reliefseg.raster.heights import HeightsAre
from reliefseg.raster.scene import survey_scene
from reliefseg.tiles import SceneArrays
from reliefseg.workflow.saying import SILENT, Sayer

SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class HeightFiles:
    """Where predicted scenes' heights lie, for models whose depth comes from rasters.

    Patterns in which `{scene}` is the scene's name; without `ground`, the terrain height, it is estimated.
    """

    heights: str
    ground: str | None = None
    heights_are: HeightsAre = "dsm"

    def beside(self, image: Path) -> SceneFiles:
        """The image with its height files."""
        ground = None if self.ground is None else Path(self.ground.replace("{scene}", image.stem))
        heights = Path(self.heights.replace("{scene}", image.stem))
        return SceneFiles(image, heights=heights, ground=ground, heights_are=self.heights_are)


@dataclass(frozen=True)
class Model:
    """A trained model as a notebook wants it."""

    predictor: ScenePredictor
    cache: Path | None = None

    @property
    def classes(self) -> ClassTable:
        """The classes, in the order of the ids that `predict` returns."""
        return self.predictor.spec.class_table

    def predict(self, image: Path | str, heights: HeightFiles | None = None) -> UInt8[np.ndarray, "h w"]:
        """Class ids of a whole scene on its own grid; 255 where it is not valid."""
        return self.predictor.class_ids(self.read(self.open(Path(image), heights)))

    def probabilities(
        self, image: Path | str, heights: HeightFiles | None = None
    ) -> Float32[np.ndarray, "classes h w"]:
        """Class probabilities of a whole scene on its own grid; they sum to one."""
        return self.predictor.probabilities(self.read(self.open(Path(image), heights)))

    def open(self, image: Path, heights: HeightFiles | None = None) -> Scene:
        """The scene in this file; InputError where its bands are not the model's or its heights are not there."""
        spec = self.predictor.spec
        files = SceneFiles(image) if heights is None else heights.beside(image)
        scene, faults = survey_scene(image.stem, files, spec.scene_bands, spec.class_table, None)
        if spec.depth.source == "raster" and heights is None:
            faults.append(f"scene {image.stem}: the model needs heights; give --heights 'FOLDER/{{scene}}.tif'")
        if scene is None or faults:
            raise InputError(faults)
        return scene

    def read(self, scene: Scene) -> SceneArrays:
        """The scene's bands as the model wants them; depth is made where it is not there yet."""
        depth = make_depth([scene], self.predictor.spec.depth, self.cache or default_cache(scene.image.parent))
        return self.predictor.read(scene, depth.get(scene.name))


def load_model(
    path: Path | str, device: str = "auto", *, batch: int = 4, threads: int = 0, cache: Path | None = None
) -> Model:
    """The model in a run folder or bundle, ready to predict; InputError where there is none or it is damaged."""
    spec, network = load_bundle(Path(path))
    chosen = pick_device(device)
    use_processor(threads)
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
    run: Path,
    scenes: Sequence[Path],
    out: Path,
    *,
    heights: HeightFiles | None = None,
    cache: Path | None = None,
    say: Sayer = SILENT,
) -> list[Path]:
    """Writes a class map, `OUT/<scene>.tif`, for every scene, on its own grid with class colours; returns the files.

    Depth that is not there yet is made on the way. All scenes are opened before the first is computed, so that wrong
    ones are told at once.
    """
    model = load_model(run, cache=cache)
    opened, faults = [], []
    for path in scenes:
        try:
            opened.append(model.open(path, heights))
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
    arrays = model.read(scene)
    with say.progress(scene.name) as tick:
        class_ids = model.predictor.class_ids(arrays, tick)
    write_class_map(target, class_ids, scene.grid, model.classes)
    return target
