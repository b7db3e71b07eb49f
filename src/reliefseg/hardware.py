"""What this machine computes with: device and precision."""

from __future__ import annotations

import ctypes
import platform
from typing import Literal, TypeVar

import torch
from torch import nn

from reliefseg.errors import InputError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Numbers of glibc's malloc.h."""
Network = TypeVar("Network", bound=nn.Module)
Precision = Literal["auto", "float32", "bfloat16"]


def pick_device(name: str) -> torch.device:
    """`auto`: the first GPU where there is one, else the CPU; otherwise what is named, refused if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}: unknown; known are auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError('device \'cuda\': torch sees no GPU here; use device = "auto" or "cpu"')
    return torch.device(name)


def pick_precision(name: Precision, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 where the processor computes it natively, else float32."""
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if name == "bfloat16" and device.type == "cuda" and not _has_bfloat16(device):
        raise InputError("precision 'bfloat16': this GPU does not have it; use precision = \"float32\"")
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


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
