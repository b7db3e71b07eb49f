"""Checkpoints: everything a run needs to go on exactly where it was. Safetensors and JSON, no pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reliefseg.errors import InputError

KEPT = 3
"""How many of the newest checkpoints of a phase stay."""


@dataclass
class Checkpoint:
    """State after `step` steps of a phase: tensors by name, and plain values."""

    phase: str
    step: int
    tensors: dict[str, Tensor]
    values: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes FOLDER/<phase>-<step>/ aside and renames it; older ones beyond the newest three are removed."""
    final = folder / f"{checkpoint.phase}-{checkpoint.step:07d}"
    aside = folder / f".{final.name}.{os.getpid()}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
        save_file(tensors, aside / "state.safetensors")
        state = {"phase": checkpoint.phase, "step": checkpoint.step, "values": checkpoint.values}
        state["sha256"] = _sha256(aside / "state.safetensors")
        (aside / "state.json").write_text(json.dumps(state, indent=1))
        _sync(aside / "state.safetensors")
        _sync(aside / "state.json")
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for old in _checkpoints(folder, checkpoint.phase)[:-KEPT]:
        shutil.rmtree(old)
    return final


def newest_checkpoint(folder: Path, phase: str) -> Checkpoint | None:
    """The newest checkpoint of a phase, None where there is none; a damaged one is refused with a message."""
    found = _checkpoints(folder, phase)
    return _load(found[-1], found[-2] if len(found) > 1 else None) if found else None


def _checkpoints(folder: Path, phase: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{phase}-*") if p.is_dir())


def _load(path: Path, before: Path | None) -> Checkpoint:
    try:
        state = json.loads((path / "state.json").read_text())
        intact = state["sha256"] == _sha256(path / "state.safetensors")
    except (OSError, ValueError, KeyError):
        intact = False
    if not intact:
        instead = f"{before} comes before it" if before else "there is none before it: start with a new run folder"
        raise InputError(
            f"checkpoint {path}: cut short or altered (its checksum does not hold); remove it and resume: {instead}"
        )
    return Checkpoint(state["phase"], state["step"], load_file(path / "state.safetensors"), state["values"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def network_tensors(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """A network's weights and buffers under `prefix.`."""
    return {f"{prefix}.{name}": value for name, value in network.state_dict().items()}


def optimiser_tensors(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments under `prefix.<parameter number>.<name>`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}.{i}.{name}": torch.as_tensor(value)
        for i, moments in state.items()
        for name, value in moments.items()
        if value is not None
    }


def restore_network(network: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Puts back what `network_tensors` took."""
    network.load_state_dict(_under(prefix, tensors))


def restore_optimiser(optimiser: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Puts back what `optimiser_tensors` took."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(prefix, tensors).items():
        number, key = name.split(".", 1)
        moments.setdefault(int(number), {})[key] = _laid_out_as(parameters[int(number)], value)
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's memory format: fused optimisers walk both in memory order."""
    same = value.shape == parameter.shape
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if same else value


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}
