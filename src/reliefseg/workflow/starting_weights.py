"""Weights that a generator starts from: the authors' own, or the depth network's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from reliefseg.depth import DepthSettings, photo_bands
from reliefseg.depth.builtin import open_builtin
from reliefseg.depth.heights import load_heights
from reliefseg.errors import InputError
from reliefseg.learning.run_folder import Log
from reliefseg.networks import Generator, PackedU2Net, U2Net, load_official, load_relief


def start_from_official(generator: Generator, path: Path, log: Log) -> None:
    """The authors' weights by name; InputError where the network is another or the file holds something else."""
    if not isinstance(generator, U2Net):
        raise InputError("setting network.weights: official weights are those of u2net and u2net-small; leave it out")
    try:
        dropped = load_official(generator, load_file(path))
    except SafetensorError as error:
        raise InputError(
            f"setting network.weights: {path} is no .safetensors file ({error}); expected one with the official names; "
            "save what torch.load reads from a .pth by safetensors.torch.save_file"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"setting network.weights: {path} cannot be loaded: {error}") from None
    log.note(f"Started from {path.name}; dropped by name: {', '.join(dropped) or 'nothing'}.")


def start_from_depth(generator: PackedU2Net, bands: Sequence[str], depth: DepthSettings, log: Log) -> None:
    """The weights of the depth network that these settings name; bands that it does not see start at zero."""
    file = open_builtin(depth).file
    shown = photo_bands(bands) if bands else ()
    load_relief(generator, load_heights(file)[0].body.state_dict(), shown)
    seen = ", ".join(bands[i] for i in shown) or "no image band"
    log.note(f"Started from the depth network {file.name}, which sees {seen}.")
