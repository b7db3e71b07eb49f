"""RESULTS.md: what benchmarks measured stands between marks, what people wrote stays."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

from reliefseg.hardware import describe, pick_device

RESULTS = Path(__file__).parent / "RESULTS.md"


def write_section(name: str, text: str) -> None:
    """Replaces what the benchmark of that name wrote last."""
    begin, end = f"<!-- {name}: written by `make bench` -->", f"<!-- end of {name} -->"
    before, rest = RESULTS.read_text("utf-8").split(begin)
    RESULTS.write_text(f"{before}{begin}\n{text}\n\n{end}{rest.split(end)[1]}", "utf-8")


def machine() -> str:
    """Where and when a table was measured."""
    return (
        f"{describe(pick_device('auto'))}, {torch.get_num_threads()} threads, {datetime.now(UTC).date().isoformat()}, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
