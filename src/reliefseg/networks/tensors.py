"""Tensors on disk: safetensors, whose own errors are told as everybody else's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], told: dict[str, str] | None = None) -> None:
    """Writes tensors by name, and what is told of them into the header.

    OSError where the disk is full or the file cannot be written. safetensors makes files that nobody else can read:
    the file gets the permissions of any other.
    """
    path.touch()
    usual = path.stat().st_mode
    try:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path, told)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
    path.chmod(usual)
