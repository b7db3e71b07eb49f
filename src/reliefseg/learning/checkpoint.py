"""Checkpoints: everything a run needs to go on exactly where it was. Safetensors and JSON, no pickle.

There is no random state in them: boxes, turns, jitter and the order of tiles are pure functions of (seed, step, index),
and nothing else in a step is random.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from reliefseg.errors import InputError
from reliefseg.networks.tensors import write_tensors
from reliefseg.raster.files import hash_file, read_json, whole_folder

KEPT = 3
"""How many of the newest checkpoints of a phase stay, beside the best."""
TENSORS, STATE, SUMS = "state.safetensors", "state.json", "SHA256SUMS"
"""Files of a checkpoint; `sha256sum -c SHA256SUMS` checks it too."""


@dataclass
class Checkpoint:
    """State after `step` steps of a phase: tensors by name, and plain values (`best_step`: the best's step)."""

    phase: str
    step: int
    tensors: dict[str, Tensor]
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.phase}-{self.step:07d}"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes FOLDER/<phase>-<step>/ aside and renames it; the newest three and the best stay, others are removed.

    OSError where it cannot be written; older ones are still there then.
    """
    for left_over in folder.glob(".*.partial"):  # of a process that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    final = folder / checkpoint.name
    with whole_folder(final) as aside:
        _write(aside, checkpoint)
    best = f"{checkpoint.phase}-{checkpoint.values.get('best_step') or 0:07d}"
    for old in _checkpoints(folder, checkpoint.phase)[:-KEPT]:
        if old.name != best:
            _remove(old)
    return final


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    write_tensors(folder / TENSORS, checkpoint.tensors)
    state = {"phase": checkpoint.phase, "step": checkpoint.step, "values": checkpoint.values}
    (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    sums = "".join(f"{hash_file(folder / name)}  {name}\n" for name in (TENSORS, STATE))
    (folder / SUMS).write_text(sums, encoding="ascii")


def _remove(path: Path) -> None:
    """Out of sight in one go, so that no half-removed checkpoint is ever seen."""
    shutil.rmtree(path.rename(path.with_name(f".{path.name}.partial")))


def newest_checkpoint(folder: Path, phase: str, tell: Callable[[str], object]) -> Path | None:
    """The newest checkpoint of a phase that is intact, None where there is none at all.

    Damaged ones are set aside under another name, and `tell` is told. InputError where every one is damaged.
    """
    found = _checkpoints(folder, phase)[::-1]
    intact = next((path for path in found if _is_intact(path)), None)
    if found and intact is None:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"checkpoints {names} in {folder}: cut short or altered (checksums do not hold), and none is before them; "
            "bring back a copy, or remove them to start this phase anew"
        )
    if intact is None:
        return None
    for damaged in found[: found.index(intact)]:
        aside = damaged.with_name(f"damaged-{damaged.name}")
        shutil.rmtree(aside, ignore_errors=True)
        damaged.rename(aside)
        tell(
            f"Checkpoint {damaged.name} is cut short or altered (its checksums do not hold): set aside as "
            f"{aside.name}, the run goes on from the one before it, {intact.name}."
        )
    return intact


def steps_done(folder: Path, phase: str) -> int:
    """The step of the newest checkpoint of a phase, intact or not; 0 where there is none."""
    found = _checkpoints(folder, phase)
    return int(found[-1].name.rpartition("-")[2]) if found else 0


def load_checkpoint(path: Path) -> Checkpoint:
    """What `save_checkpoint` wrote there, unchecked."""
    state = read_json(path / STATE)
    return Checkpoint(state["phase"], state["step"], load_file(path / TENSORS), state["values"])


def _checkpoints(folder: Path, phase: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{phase}-*") if p.is_dir())


def _is_intact(path: Path) -> bool:
    try:
        lines = (path / SUMS).read_text(encoding="ascii").splitlines()
        return all(f"{hash_file(path / name)}  {name}" in lines for name in (TENSORS, STATE))
    except (OSError, ValueError):
        return False


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
