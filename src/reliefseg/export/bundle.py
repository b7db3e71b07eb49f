"""The model bundle: a folder with `config.json` and `model.safetensors` that says all it takes to use a network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from reliefseg.depth import DepthSettings
from reliefseg.errors import InputError
from reliefseg.networks import Generator, build_generator
from reliefseg.networks.tensors import write_tensors
from reliefseg.raster import ClassSpec, ClassTable, explain
from reliefseg.raster.files import whole_folder
from reliefseg.tiles import Normalisation

FORMAT = 3
"""1 knew no temperature: it is 1 there. 2 did not know which depth network it was."""


class BundleClass(BaseModel):
    """A class as the bundle stores it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    color: tuple[int, int, int]
    id: int | None = None


class ModelSpec(BaseModel):
    """What a trained network is and what it must be fed.

    `working_scale` is network pixels per scene pixel at `reference_gsd` (metres a pixel; None: unknown, then every
    scene is taken at `working_scale`). `window` is the side of the windows it was validated with, `margin` the
    outermost pixels thrown away, both in network pixels. `mean` and `std`: image bands in file units, then depth.
    `depth_weights` is the hash of the depth network it learnt with; None: none, or not known.
    `temperature` softens (above 1) or sharpens the blended probabilities; 1 leaves them as the network has them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    format: int = FORMAT
    network: str
    bands: tuple[str, ...]
    scene_bands: tuple[str, ...]
    classes: tuple[BundleClass, ...]
    loss: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    working_scale: float
    reference_gsd: float | None
    window: int
    margin: int
    depth: DepthSettings
    depth_weights: str | None = None
    temperature: PositiveFloat = 1.0

    @property
    def uses_depth(self) -> bool:
        """Whether the last band is depth."""
        return self.depth.source != "none"

    @property
    def inputs(self) -> int:
        """Bands the network takes, depth included."""
        return len(self.bands) + self.uses_depth

    @property
    def class_table(self) -> ClassTable:
        """The classes in the words of the raster room."""
        return ClassTable(tuple(ClassSpec(c.name, c.color, c.id) for c in self.classes))

    @property
    def normalisation(self) -> Normalisation:
        """Mean and deviation of the bands."""
        return Normalisation(self.mean, self.std)

    def build_network(self) -> Generator:
        """The network with untrained weights."""
        return build_generator(self.network, self.inputs, len(self.classes))


def save_bundle(folder: Path, spec: ModelSpec, network: nn.Module) -> None:
    """Writes the bundle aside and renames it over an older one.

    One that is the same stays, with what was made of it (`int8`).
    """
    if _is_there(folder, spec, network):
        return
    with whole_folder(folder) as aside:
        write_tensors(aside / "model.safetensors", network.state_dict())
        (aside / "config.json").write_text(spec.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _is_there(folder: Path, spec: ModelSpec, network: nn.Module) -> bool:
    try:
        found, weights = load_bundle(folder)
    except InputError:
        return False
    theirs, mine = weights.state_dict(), network.state_dict()
    return found == spec and theirs.keys() == mine.keys() and all(torch.equal(theirs[k], mine[k].cpu()) for k in mine)


def bundle_folder(folder: Path) -> Path:
    """The bundle's own folder: FOLDER, or FOLDER/model for a run."""
    return folder / "model" if not (folder / "config.json").exists() and (folder / "model").is_dir() else folder


def bundle_hash(folder: Path) -> str:
    """SHA-256 over all that a bundle says: equal hashes are the same model."""
    folder, state = bundle_folder(folder), hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        state.update((folder / name).read_bytes())
    return state.hexdigest()


def load_bundle(folder: Path) -> tuple[ModelSpec, Generator]:
    """The bundle in FOLDER, or in FOLDER/model for a run; InputError where it is missing, altered or too new."""
    folder = bundle_folder(folder)
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"{folder}: no model here (expected config.json and model.safetensors); was training finished?"
        ) from None
    except ValueError as error:
        raise InputError(f"{folder}/config.json: not readable as JSON ({error})") from None
    if isinstance(raw, dict) and raw.get("format", FORMAT) > FORMAT:
        raise InputError(
            f"{folder}/config.json: format {raw['format']}, this version reads up to {FORMAT}; update reliefseg"
        )
    try:
        spec = ModelSpec.model_validate(raw)
        network = spec.build_network()
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except ValidationError as error:
        where = f"{folder}/config.json: not a model of reliefseg"
        raise InputError(explain(error, ModelSpec, where)) from None
    except KeyError as error:
        raise InputError(f"{folder}/config.json: not a model of reliefseg: no network {error}") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{folder}/model.safetensors: cannot be loaded ({error})") from None
    return spec, network.eval()
