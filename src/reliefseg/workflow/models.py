"""A trained model ready to predict."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from reliefseg.depth import depth_weights, make_depth
from reliefseg.depth.making import Progress
from reliefseg.errors import InputError
from reliefseg.export import ModelSpec, bundle_hash, load_bundle
from reliefseg.export.bundle import bundle_folder
from reliefseg.export.int8 import Int8Network, load_int8
from reliefseg.hardware import Precision, pick_device, pick_precision, use_processor
from reliefseg.inference import ScenePredictor
from reliefseg.inference.choosing import EngineMaker
from reliefseg.inference.plan import Plan
from reliefseg.inference.results import Validation
from reliefseg.raster import ClassTable, Scene, SceneFiles, Window, default_cache
from reliefseg.raster.files import read_json_if_whole
from reliefseg.raster.grid import STRETCH
from reliefseg.raster.scene import survey_scene
from reliefseg.tiles import SceneArrays
from reliefseg.tiles.loading import relative_gsd
from reliefseg.workflow.finding import HeightFiles
from reliefseg.workflow.making_depth import taken_as

COARSE = 1.5
"""From this ratio of pixel sizes on, a scene lacks detail that the model has learnt from, and that is said."""
COARSEST, FINEST = 8.0, 32.0
"""Scenes with pixels larger, or smaller, than the model's by more than this are refused."""
SMALLEST, LARGEST = 1e-4, 100.0
"""What may be stated as the size of a pixel, metres."""
LOOK, FAR = 512, 10.0
"""Pixels of the middle of a scene, and how many of the model's deviations their mean may lie off, before it is said."""


@dataclass(frozen=True)
class Model:
    """A trained model as a notebook wants it.

    `hash` is of its bundle; `validation` the confusion matrices of the run's validation scenes, where there are any;
    `int8` what `quantise` made of it.
    """

    predictor: ScenePredictor
    hash: str
    cache: Path | None = None
    validation: Validation = ()
    int8: Int8Network | None = None

    @property
    def spec(self) -> ModelSpec:
        """What the model is and must be fed."""
        return self.predictor.spec

    @property
    def classes(self) -> ClassTable:
        """The classes, in the order of the ids that `predict` returns."""
        return self.spec.class_table

    @property
    def validation_hash(self) -> str:
        """Of what intervals of areas rest on."""
        return hashlib.sha256(b"".join(matrix.tobytes() for matrix in self.validation)).hexdigest()[:16]

    @cached_property
    def engines(self) -> EngineMaker:
        """What its engines for scenes on disk are made by."""
        return EngineMaker(self.spec, self.predictor.network, self.predictor.device, self.int8)

    def predict(
        self, image: Path | str, heights: HeightFiles | None = None, gsd: float | None = None
    ) -> UInt8[np.ndarray, "h w"]:
        """Class ids of a whole scene on its own grid; 255 where it is not valid. The scene must fit into memory.

        `gsd`, metres a pixel, is for a scene that does not say.
        """
        return self.predictor.class_ids(self.read(self.open(Path(image), heights, gsd)))

    def probabilities(
        self, image: Path | str, heights: HeightFiles | None = None, gsd: float | None = None
    ) -> Float32[np.ndarray, "classes h w"]:
        """Class probabilities of a whole scene on its own grid; they sum to one."""
        return self.predictor.probabilities(self.read(self.open(Path(image), heights, gsd)))

    def open(self, image: Path, heights: HeightFiles | None = None, gsd: float | None = None) -> Scene:
        """The scene in this file; InputError where its bands are not the model's or its heights are not there."""
        if gsd is not None and not SMALLEST <= gsd <= LARGEST:
            raise InputError(f"--gsd {gsd:g}: no size of a pixel; expected {SMALLEST:g} to {LARGEST:g} metres")
        needs_heights = self.spec.depth.source == "raster"
        files = heights.beside(image) if heights is not None and needs_heights else SceneFiles(image)
        scene, faults = survey_scene(image.stem, files, self.spec.scene_bands, self.classes, gsd)
        if needs_heights and heights is None:
            faults.append(f"scene {image.stem}: the model needs heights; give --heights 'FOLDER/{{scene}}.tif'")
        if scene is not None:
            faults += self._scale_fault(scene)
        if scene is None or faults:
            raise InputError(faults)
        return scene

    def read(self, scene: Scene) -> SceneArrays:
        """The scene's bands as the model wants them; depth is made where it is not there yet."""
        return self.predictor.read(scene, self.depth(scene))

    def depth(self, scene: Scene, progress: Progress | None = None) -> Path | None:
        """The scene's depth raster, made where it is not there yet; None for a model without depth.

        Where the scene's gsd is unknown, it is taken to be the model's here too.
        """
        seen = taken_as(scene, self.spec.reference_gsd)
        return make_depth([seen], self.spec.depth, self.cache_for(scene), progress).get(scene.name)

    def cache_for(self, scene: Scene) -> Path:
        """Where the scene's depth is kept."""
        return self.cache or default_cache(scene.image.parent)

    def plan(self, scene: Scene) -> Plan:
        """How the scene is computed."""
        ratio = relative_gsd(scene, self.spec.reference_gsd)
        return self.predictor.plan(scene.grid.height, scene.grid.width, ratio)

    def doubts(self, scene: Scene) -> list[str]:
        """What lets one doubt the scene's map: pixels of another size or shape, or unlike those learnt from."""
        notes = [self._scale_note(scene), _stretch_note(scene)]
        with suppress(InputError):  # damage is told where the scene is computed
            notes.append(self._looks_note(scene))
        return [note for note in notes if note is not None]

    def _scale_fault(self, scene: Scene) -> list[str]:
        """A pixel size so far from the model's that nothing would be recognised, and memory might not do."""
        known, own = self.spec.reference_gsd, scene.grid.gsd
        if known is None or own is None or 1 / FINEST <= own / known <= COARSEST:
            return []
        wrong = "--gsd" if own == scene.grid.stated_gsd else "the file's CRS or transform"
        return [
            f"scene {scene.name}: pixels of {own:.3g} m, the model learnt from {known:.3g} m; at most {COARSEST:g} "
            f"times coarser and {FINEST:g} times finer ones are taken. Is the size in other units? Correct {wrong}, "
            "or bring the scene nearer to the model (gdalwarp -tr)"
        ]

    def _scale_note(self, scene: Scene) -> str | None:
        """What there is to say about the scene's pixel size; None where it is the model's or both are unknown."""
        known, own = self.spec.reference_gsd, scene.grid.gsd
        if known is None:
            return None
        if own is None:
            return (
                f"scene {scene.name}: does not say how large its pixels are; they are taken to be {known:.3g} m, as "
                "the model's (--gsd METRES says otherwise)"
            )
        if 1 / COARSE <= own / known <= COARSE:
            return None
        detail = "detail the model has learnt from is not in it" if own > known else "finer detail is averaged away"
        return (
            f"warning: scene {scene.name}: pixels of {own:.3g} m, the model learnt from {known:.3g} m: it is resampled "
            f"by {own / known:.3g}; {detail}"
        )

    def _looks_note(self, scene: Scene) -> str | None:
        """What there is to say about pixels unlike those the model learnt from: another bit depth, or other bands."""
        height, width = scene.grid.height, scene.grid.width
        middle = Window((height - LOOK) // 2, (width - LOOK) // 2, LOOK, LOOK).clipped(height, width)
        data, valid = scene.read(middle)
        if not valid.any():
            return None
        for band, mean, std in zip(self.spec.bands, self.spec.mean, self.spec.std, strict=False):
            found = float(data[scene.bands.index(band)][valid].mean())
            if abs(found - mean) > FAR * max(std, 1e-6):
                return (
                    f"warning: scene {scene.name}: its band {band} has {found:.4g} on average in the middle, that of "
                    f"the model {mean:.4g}; another bit depth, or other bands? Its map would be wrong then"
                )
        return None


def _stretch_note(scene: Scene) -> str | None:
    stretch = scene.grid.stretch
    if stretch is None or stretch <= STRETCH:
        return None
    return (
        f"warning: scene {scene.name}: its pixels are not square on the ground, one side is {stretch:.3g} times the "
        "other: the network sees everything squeezed; warp it to square pixels (gdalwarp -t_srs … -tr …)"
    )


def load_model(
    path: Path | str, device: str = "auto", precision: Precision = "auto", *, cache: Path | None = None
) -> Model:
    """The model in a run folder or bundle, ready to predict.

    InputError: there is none, it is damaged, or the depth network here is not the one it learnt with.
    """
    spec, network = load_bundle(Path(path))
    _refuse_other_depth(spec, Path(path))
    chosen = pick_device(device)
    use_processor(0)
    predictor = ScenePredictor(spec, network, chosen, precision=pick_precision(precision, chosen))
    known = bundle_hash(Path(path))
    return Model(predictor, known, cache, _validation(Path(path)), load_int8(bundle_folder(Path(path)), known))


def _refuse_other_depth(spec: ModelSpec, path: Path) -> None:
    learnt = spec.depth_weights
    if learnt is None:
        return
    try:
        here = depth_weights(spec.depth)
    except InputError:  # its advice is for settings, not for a model
        here = None
    if here == learnt:
        return
    named = spec.depth.model if spec.depth.source == "transformers" else spec.depth.weights
    found = f"are {here[:12]}" if here else "cannot be had"
    raise InputError(
        f"model {path}: learnt with depth by weights {learnt[:12]}, those of {named or 'this version of reliefseg'} "
        f"{found}: depth would come out otherwise; bring back that file (or version), or train the model anew"
    )


def _validation(run: Path) -> Validation:
    metrics = read_json_if_whole(run / "evaluation" / "validation" / "metrics.json") or {"per_scene": {}}
    return [np.array(scene["confusion"], dtype=np.int64) for scene in metrics["per_scene"].values()]
