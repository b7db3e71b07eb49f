"""What this machine computes with: device, precision, free memory."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from reliefseg.errors import InputError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Numbers of glibc's malloc.h."""
Network = TypeVar("Network", bound=nn.Module)
Precision = Literal["auto", "float32", "bfloat16", "float16"]
HALF_SINCE = (7, 0)
"""Compute capability from which GPUs have units for float16 (Volta)."""
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def pick_device(name: str) -> torch.device:
    """`auto`: the first GPU where there is one, else the CPU; otherwise what is named, refused if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}: unknown; known are auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError('device \'cuda\': torch sees no GPU here; use device = "auto" or "cpu"')
    return torch.device(name)


def refuse_missing_devices(device: torch.device, count: int) -> None:
    """InputError where this machine has fewer GPUs (on the CPU: fewer cores, one a process at least) than wanted."""
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if count > there:
        what = "GPUs" if device.type == "cuda" else "processor cores (on the CPU a device is a process)"
        raise InputError(
            f"devices: {count} wanted, but this machine has {there} {what}; take --devices {there} or fewer"
        )


def pick_precision(name: Precision, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 where the processor computes it natively, float16 on older GPUs that have it, else float32."""
    if name == "auto":
        half = torch.float16 if _has_float16(device) else torch.float32
        return torch.bfloat16 if _has_bfloat16(device) else half
    if name == "bfloat16" and device.type == "cuda" and not _has_bfloat16(device):
        instead = "float16" if _has_float16(device) else "float32"
        raise InputError(f"precision 'bfloat16': this GPU does not have it; use precision = \"{instead}\"")
    if name == "float16" and not _has_float16(device):
        what = "this GPU does not have it" if device.type == "cuda" else "for GPUs only"
        raise InputError(f'precision \'float16\': {what}; use precision = "auto" or "float32"')
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _has_float16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= HALF_SINCE


def use_processor(threads: int) -> None:
    """Computes with so many processor threads (0: torch's choice, which heeds OMP_NUM_THREADS) and keeps memory.

    glibc gives every tensor above 32 MB back to the kernel when it is freed; faulting its pages in again took longer
    than the convolutions (812,363 page faults against 8,258 in three steps of the small network, batch 4 at 256 px).
    """
    if threads:
        torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 1 << 28)):
            mallopt(parameter, value)


def placed(network: Network, device: torch.device) -> Network:
    """The network on the device, weights channels-last: what convolutions on processors and GPUs like best."""
    return network.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def describe(device: torch.device) -> str:
    """The device's name as a person knows it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def free_memory(device: torch.device) -> int:
    """Bytes still to be had: of the GPU, or of the machine and every control group (container) this process is in."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # what `use_processor` made malloc keep is free too
    return min([_available(), *_left_in_groups()])


def _available() -> int:
    """What Linux could hand out; elsewhere it is not known and taken as without end."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return sys.maxsize
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def _left_in_groups(own: str | None = None, root: Path = CONTROL_GROUPS) -> Iterator[int]:
    """What each limited group leaves, from the innermost outwards; file cache that can be dropped counts as left."""
    for line in (_own_groups() if own is None else own).splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        old = controllers == "memory"
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
        cache = "total_inactive_file" if old else "inactive_file"
        top = root / controllers
        inner = top / place.lstrip("/")
        for folder in [inner, *(p for p in inner.parents if p.is_relative_to(top))]:
            yield from _left_in(folder, *names, cache)


def _own_groups() -> str:
    try:
        return Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return ""


def _left_in(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> Iterator[int]:
    try:
        limit = (folder / limit_name).read_text(encoding="ascii").strip()
        used = int((folder / usage_name).read_text(encoding="ascii"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        return
    if limit != "max":
        yield max(0, int(limit) - used + int(stat.get(cache_name, 0)))
