"""The work folder of a scene: finished pieces, and what they were made from and with."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reliefseg.errors import InputError
from reliefseg.inference.plan import Piece, Plan
from reliefseg.inference.store import FolderStore
from reliefseg.raster import Scene, probe_folder, write_json
from reliefseg.raster.files import locked, read_json, shared
from reliefseg.raster.fingerprints import files_of, glimpse
from reliefseg.raster.opening import gdal_name, is_data, is_remote, opened

FORMAT = 1
"""Counted up when equal recipes would no longer mean equal pieces."""
PLAN = "plan.json"
WORK = ".reliefseg-"
"""What the names of work folders begin with."""
USED = ".used"
"""Held by every process that computes pieces or writes results."""


class Recipe(NamedTuple):
    """What every piece of a scene depends on: hashes of model and source, the plan, the engine asked for.

    `int8` is the hash of the int8 network where that is asked for.
    """

    model: str
    source: str
    plan: dict[str, int]
    engine: str
    int8: str = ""

    @property
    def key(self) -> str:
        """Equal keys: the same pieces."""
        return hashlib.sha256(json.dumps([FORMAT, *self], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class WorkFolder:
    """`OUT/.reliefseg-SCENE/KEY`: work with another recipe has another key and is never mixed in."""

    out: Path
    scene: str
    recipe: Recipe

    @property
    def root(self) -> Path:
        """What goes away when the scene is done."""
        return self.out / f"{WORK}{self.scene}"

    @property
    def folder(self) -> Path:
        """Where the pieces are."""
        return self.root / self.recipe.key

    @property
    def results(self) -> Path:
        """Where results grow until they are whole."""
        return self.folder / "results"

    @property
    def store(self) -> FolderStore:
        """The pieces."""
        return FolderStore(self.folder)

    def engine(self) -> str | None:
        """The engine chosen when the work began; None: it has not begun."""
        try:
            return str(read_json(self.folder / PLAN)["computed_with"])
        except FileNotFoundError:
            return None

    def begin(self, engine: str) -> str:
        """Writes down the engine, unless another process was faster; returns the one that holds."""
        probe_folder(self.folder)
        aside = self.folder / f".{PLAN}.{os.getpid()}"
        write_json(aside, {"format": FORMAT, **self.recipe._asdict(), "computed_with": engine})
        try:
            os.link(aside, self.folder / PLAN)
        except FileExistsError:
            pass
        except OSError as error:  # the disk knows no links
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            if not (self.folder / PLAN).exists():
                aside.replace(self.folder / PLAN)
        finally:
            aside.unlink(missing_ok=True)
        return self.engine() or engine

    def written_alone(self) -> AbstractContextManager[None]:
        """Holds the results for this process; another that would write them too gets an InputError at once."""
        in_use = InputError(
            f"scene {self.scene}: another process is writing its results in {self.out}; wait for it, or share the work "
            "out with --shard"
        )
        return locked(self.folder / ".writing", in_use)

    def unlike(self) -> list[str]:
        """In which respects earlier, unfinished work on this scene differs; empty where there is none."""
        changed = []
        for other in sorted(self.root.glob(f"*/{PLAN}")):
            if other.parent != self.folder:
                told = read_json(other)
                changed += [name for name, value in self.recipe._asdict().items() if told.get(name) != value]
        return list(dict.fromkeys(changed))

    def used(self) -> AbstractContextManager[None]:
        """Keeps the work from being removed by other processes while this one is at it."""
        probe_folder(self.folder)
        return shared(self.folder / USED)

    def forget_others(self) -> None:
        """Removes what was made by other recipes; an InputError where another process is still making it."""
        in_use = InputError(
            f"scene {self.scene}: another process is predicting it into {self.out} with another model, source or "
            "options; wait for it, or choose another folder with -o"
        )
        for other in self._folders():
            if other != self.folder:
                _remove_unused(other, in_use)

    def remove(self) -> None:
        """Removes all work on this scene, for it is done, but not what another process is at."""
        for folder in self._folders():
            with suppress(InputError):
                _remove_unused(folder, InputError(f"{folder}: in use"))
        with suppress(OSError):  # not empty
            self.root.rmdir()

    def _folders(self) -> list[Path]:
        """Work on this scene by whatever recipe; stray files are left alone."""
        return [path for path in self.root.iterdir() if path.is_dir()] if self.root.exists() else []

    def missing(self, plan: Plan) -> list[Piece]:
        """The pieces still to do."""
        return [piece for piece in plan.pieces if not self.store.has(piece)]

    def refuse_small_disk(self, plan: Plan, classes: int, bytes_a_pixel: int) -> None:
        """An `InputError` where the pieces to do, and the rasters, would not fit on the disk."""
        needed = sum(2 * classes * p.area.height * p.area.width for p in self.missing(plan))
        needed += bytes_a_pixel * plan.height * plan.width
        free = shutil.disk_usage(self.out).free
        if needed > free:
            raise InputError(
                f"{self.out}: the disk is too full for scene {self.scene}: {needed / 1e6:,.1f} MB are needed for "
                f"finished pieces and results, {free / 1e6:,.1f} MB are free; make room or choose another place with -o"
            )


def _remove_unused(folder: Path, in_use: InputError) -> None:
    with suppress(FileNotFoundError), locked(folder / USED, in_use):  # another process was faster
        shutil.rmtree(folder, ignore_errors=True)


def source_hash(scene: Scene, depth: Path | None) -> str:
    """Changes with the scene's files: their headers, sizes and times of change, and what depth was made from.

    InputError: a VRT names a file that is not there.
    """
    facts: list[Any] = [scene.bands]
    for path in [scene.image, *([depth] if depth else [])]:
        with opened(path) as dataset:
            crs = None if dataset.crs is None else dataset.crs.to_wkt()
            facts += [dataset.shape, list(dataset.transform), crs, dataset.dtypes, repr(dataset.nodatavals)]
            facts += [dataset.tags().get("depth_key"), *([glimpse(dataset)] if is_remote(path) else [])]
        files = [file for file in ([] if path == depth else files_of(path)) if is_data(file.name)]
        if gone := [file for file in files if not is_remote(file) and not file.exists()]:
            raise InputError(f"scene {scene.name}: {path} names {gone[0]}, which does not exist; bring it back")
        facts += [_stamp(file) for file in files]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def _stamp(path: Path) -> list[Any]:
    if is_remote(path):
        return [gdal_name(path)]
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]
