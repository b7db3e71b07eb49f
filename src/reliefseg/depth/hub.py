"""Where depth networks lie: in a folder, in the hub's copy on this machine, or, only when asked for, on the hub.

huggingface_hub is imported inside functions: a local folder needs it not.
"""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

from reliefseg.errors import InputError, first_line
from reliefseg.raster.files import hash_file

CONFIGURATION = ("config.json", "preprocessor_config.json")
PATTERNS = [*CONFIGURATION, "*.safetensors", "*.safetensors.index.json"]
"""What is fetched and what counts as the model; nothing that needs pickle or brings code."""
INSTALL = "install it with: pip install 'reliefseg[hub]'"
DOWNLOAD = "--set depth.allow_download=true"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def find_model(model: str, *, allow_download: bool) -> Path:
    """The folder of a model: a local one, or the hub's copy on this machine, fetched first where that is allowed.

    `InputError` where it is not here, cannot be reached, or lacks weights in safetensors or its configuration.
    """
    local = Path(model).expanduser()
    if local.is_dir():
        return _checked(local, model)
    if not _HUB_ID.fullmatch(model):
        raise InputError(f"depth.model {model}: no such folder; expected a folder or a hub id such as owner/name")
    _require_hub(model)
    copy = _local_copy(model)
    if copy is not None and not _faults(copy):
        return copy
    if allow_download:
        return _checked(_fetch(model), model)
    raise InputError(
        f"depth.model {model}: no folder of that name, and the hub's copy is not on this machine; "
        f"to fetch it once, use {DOWNLOAD}, or name a folder with config.json, preprocessor_config.json "
        f"and *.safetensors; without a download, --set depth.source=builtin takes the package's own depth network"
    )


def hash_model(folder: Path) -> str:
    """SHA-256 over weights and configuration; the same model in another folder has the same."""
    total = hashlib.sha256()
    for path in sorted(path for pattern in PATTERNS for path in folder.glob(pattern)):
        total.update(f"{path.name} {hash_file(path)}\n".encode())
    return total.hexdigest()


def _checked(folder: Path, model: str) -> Path:
    faults = _faults(folder)
    if faults:
        raise InputError(f"depth.model {model}: {fault}" for fault in faults)
    return folder


def _faults(folder: Path) -> list[str]:
    """What a model folder lacks."""
    missing = [name for name in CONFIGURATION if not (folder / name).is_file()]
    faults = [f"no {name} in {folder}; expected a folder as transformers saves it" for name in missing]
    if any(folder.glob("*.safetensors")):
        return faults
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickled:
        return [
            *faults,
            f"weights are there as {', '.join(pickled)} only, which can run code when loaded; "
            f"save the model anew in transformers, which writes model.safetensors",
        ]
    return [*faults, f"no weights in {folder}; expected model.safetensors"]


def _local_copy(model: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=PATTERNS, local_files_only=True))
    except (OSError, ValueError):
        return None


def _fetch(model: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=PATTERNS))
    except _hub_errors() as error:
        raise InputError(
            f"depth.model {model}: cannot be fetched from the hub ({first_line(error)}); "
            f"check the id and the network, or name a local folder"
        ) from error


def _require_hub(model: str) -> None:
    if find_spec("huggingface_hub") is None:
        raise InputError(
            f"depth.model {model}: no such folder, and hub ids need huggingface-hub, which is not installed; {INSTALL}"
        )


def _hub_errors() -> tuple[type[Exception], ...]:
    """What can go wrong between here and the hub: also the errors of whichever HTTP package huggingface_hub uses."""
    from huggingface_hub.errors import HfHubHTTPError

    http = tuple(kind for kind in HfHubHTTPError.__mro__ if issubclass(kind, Exception) and kind is not Exception)
    return (*http, OSError, ValueError, RuntimeError)
