"""Writes a generated data set: GeoTIFFs on grids of their own and a `dataset.toml`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal

import numpy as np
from affine import Affine
from jaxtyping import UInt8
from rasterio.crs import CRS

from reliefseg.errors import InputError
from reliefseg.generate.scene import GeneratedScene, generate_scene
from reliefseg.generate.settings import GenerateSettings, split_counts
from reliefseg.generate.spectra import CLASSES
from reliefseg.raster import FILE_NAME, IGNORE_INDEX, Grid, color_text, probe_folder, write_raster, write_text
from reliefseg.raster.opening import is_data

CRS_NAME = "EPSG:25832"
CORNER_M = (400_000.0, 5_600_000.0)
"""Upper left corner of scene 0, easting and northing, metres."""
WORTH_PX, MOST_JOBS = 10_000_000, 4
"""Data sets with fewer pixels are made by one process; never more processes than these."""
PER_ROW = 10
"""Scenes side by side before the next row of scenes."""
FOLDERS = ("images", "labels", "heights", "ground")


def generate_dataset(
    out: Path,
    settings: GenerateSettings,
    tick: Callable[[int, int], None] = lambda done, of: None,
    jobs: int = 1,
) -> Path:
    """Writes a data set into the folder `out` and gives back its path; the same settings give the same bytes.

    Images, labels (colours), heights (DSM) and ground are GeoTIFFs; `dataset.toml` comes last, so a folder with
    one is whole. A folder that holds anything else is an `InputError`; the same data set is simply made again.
    `tick` is told (scenes done, of). `jobs` scenes are made at once, each by a process of its own.
    """
    out = Path(out)
    names = scene_names(settings.scenes)
    text = dataset_text(settings)
    _refuse_other_files(out, names, text)
    probe_folder(out)
    (out / FILE_NAME).unlink(missing_ok=True)
    for done in _made(out, settings, names, min(jobs, settings.scenes)):
        tick(done, settings.scenes)
    write_text(out / FILE_NAME, text)
    return out


def fitting_jobs(settings: GenerateSettings) -> int:
    """How many processes pay for a data set: one where it is small, else one a core, at most four."""
    if settings.scenes * settings.size**2 < WORTH_PX:
        return 1
    return min(os.cpu_count() or 1, MOST_JOBS)


def _made(out: Path, settings: GenerateSettings, names: list[str], jobs: int) -> Iterator[int]:
    """Makes all scenes, and counts them in order as they are done."""
    make = partial(make_scene, out, settings)
    if jobs <= 1:
        for index, name in enumerate(names):
            make(index, name)
            yield index + 1
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=signal, initargs=(SIGINT, SIG_IGN)) as pool:
        try:
            for done, _ in enumerate(pool.map(make, range(len(names)), names), start=1):
                yield done
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def make_scene(out: Path, settings: GenerateSettings, index: int, name: str) -> None:
    """Makes one scene of a data set and writes its files."""
    size, gsd, bands = settings.size, settings.gsd, settings.band_names
    scene = generate_scene(settings.seed, index, size, gsd, bands, settings.label_shift)
    write_scene(out, name, scene, scene_grid(index, size, gsd), bands)


def scene_names(scenes: int) -> list[str]:
    """`town_000`, `town_001`, …; with four digits or more where they are needed."""
    digits = max(3, len(str(scenes - 1)))
    return [f"town_{index:0{digits}d}" for index in range(scenes)]


def scene_grid(index: int, size: int, gsd: float) -> Grid:
    """Where scene number `index` lies: a place of its own, at least 100 m from the others."""
    apart = 100.0 * (ceil(size * gsd / 100) + 1)
    row, col = divmod(index, PER_ROW)
    corner = Affine.translation(CORNER_M[0] + col * apart, CORNER_M[1] - row * apart)
    return Grid(size, size, corner @ Affine.scale(gsd, -gsd), CRS.from_string(CRS_NAME))


def write_scene(out: Path, name: str, scene: GeneratedScene, grid: Grid, bands: tuple[str, ...]) -> None:
    """Writes the four files of a scene, each whole or not at all."""
    write_raster(out / "images" / f"{name}.tif", scene.bands, grid, descriptions=bands)
    write_raster(out / "labels" / f"{name}.tif", label_colors(scene.labels), grid)
    write_raster(out / "heights" / f"{name}.tif", scene.dsm, grid, descriptions=("surface, metres",))
    write_raster(out / "ground" / f"{name}.tif", scene.ground, grid, descriptions=("ground, metres",))


def label_colors(labels: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "three height width"]:
    """Class ids as the benchmark's colours, clutter red."""
    table = np.zeros((IGNORE_INDEX + 1, 3), np.uint8)
    table[: len(CLASSES)] = CLASSES.colors
    table[IGNORE_INDEX] = CLASSES.ignore_colors[0]
    return np.ascontiguousarray(table[labels].transpose(2, 0, 1))


def dataset_text(settings: GenerateSettings) -> str:
    """`dataset.toml`: splits in the original's proportions, tile labels read off label files."""
    command = (
        f"reliefseg generate OUT --scenes {settings.scenes} --size {settings.size} --gsd {settings.gsd}"
        f' --seed {settings.seed} --bands "{settings.bands}"'
    ) + (f" --label-shift {settings.label_shift}" if settings.label_shift else "")
    classes = [f'[[classes]]\nname = "{c.name}"\ncolor = "{color_text(c.color)}"\n' for c in CLASSES.classes]
    ignored = ", ".join(f'"{color_text(color)}"' for color in CLASSES.ignore_colors)
    files = [f'{key} = "{key}/{{scene}}.tif"' for key in FOLDERS]
    tiles = f'[tile_labels]\nfrom_labels = true\nsize = {settings.tile}\nper_scene = "grid"\nmin_share = 0.005\n'
    return "\n".join(
        [
            f"# Generated towns: no camera saw them. Made by:\n#   {command}\n",
            f'name = "generated"\nbands = {json.dumps(settings.band_names)}\n',
            *classes,
            f"[ignore]\n# Clutter: containers, tents, walls, pools and other water.\ncolors = [{ignored}]\n",
            "[files]\n" + "\n".join(files) + '\nheights_are = "dsm"\n',
            tiles,
            "[splits]\n" + "\n".join(_split_lines(settings.scenes)) + "\n",
        ]
    )


def _split_lines(scenes: int) -> Iterator[str]:
    """One line a split, scenes in order; splits without scenes are left out."""
    names = iter(scene_names(scenes))
    for split, count in split_counts(scenes).items():
        if count:
            yield f"{split} = {json.dumps(list(islice(names, count)))}"


def _refuse_other_files(out: Path, names: list[str], text: str) -> None:
    """An `InputError` where `out` is a file, holds another data set, or files this data set does not have."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a new or an empty folder")
    file = out / FILE_NAME
    if file.exists() and file.read_bytes() != text.encode():
        raise InputError(f"{out}: holds another data set ({FILE_NAME} differs); give a new or an empty folder")
    expected = {out / folder / f"{name}.tif" for folder in FOLDERS for name in names} | {file}
    strangers = sorted(path for path in _visible_files(out) if path not in expected)
    if strangers:
        some = ", ".join(str(path.relative_to(out)) for path in strangers[:3])
        more = f" and {len(strangers) - 3:,} more" if len(strangers) > 3 else ""
        raise InputError(f"{out}: holds files of something else: {some}{more}; give a new or an empty folder")


def _visible_files(out: Path) -> Iterator[Path]:
    """All files but hidden ones (caches, files being written) and what viewers write beside rasters."""
    for path in out.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(out).parts)
        if path.is_file() and not hidden and is_data(path.name):
            yield path
