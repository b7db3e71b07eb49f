"""Whatever keeps files from being written, said as a message."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyogrio.errors
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from reliefseg.errors import InputError, first_line

WRITE_ERRORS = (
    OSError, RasterioError, CPLE_BaseError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
)  # fmt: skip


@contextmanager
def explained_writing(folder: Path) -> Iterator[None]:
    """An `InputError` with the free space in place of what a full disk or a failing one raises."""
    try:
        yield
    except WRITE_ERRORS as error:
        raise InputError(
            f"{folder}: cannot write results here ({first_line(error.__cause__ or error)}); {_free(folder)} are free "
            "on this disk: make space or choose another place"
        ) from error


def _free(folder: Path) -> str:
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return f"{shutil.disk_usage(there).free / 1e6:,.1f} MB"
