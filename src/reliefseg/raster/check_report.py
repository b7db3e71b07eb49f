"""What `check` found, for a terminal and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reliefseg.raster.dataset_file import SPLITS
from reliefseg.raster.tables import count_of, percent, text_table


@dataclass(frozen=True)
class SceneRow:
    """One scene: pixels, metres a pixel (None: unknown), where it lies, its splits, what its pixels hold.

    `valid_px` is None where the image is damaged. `class_px` has one count a class; None without labels that
    can be read.
    """

    name: str
    height: int
    width: int
    gsd: float | None
    crs: str | None
    dtype: str
    splits: tuple[str, ...]
    valid_px: int | None
    class_px: tuple[int, ...] | None
    has_heights: bool


@dataclass(frozen=True)
class CheckReport:
    """All that was found: errors (nothing else starts with them), warnings (go on), and the scenes that open.

    `tile_labels` is the number of tile labels used, the price of the result; None where they cannot be read.
    """

    name: str
    file: Path
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    scenes: tuple[SceneRow, ...]
    tile_labels: int | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    def pixels(self, split: str) -> list[int]:
        """Labelled pixels of each class in a split."""
        counts = [row.class_px for row in self.scenes if split in row.splits and row.class_px is not None]
        return [sum(column) for column in zip(*counts, strict=True)] or [0] * len(self.classes)

    def shares(self, split: str) -> dict[str, float | None]:
        """Each class's share of a split's labelled pixels; None where it has none."""
        pixels = self.pixels(split)
        total = sum(pixels)
        return {name: n / total if total else None for name, n in zip(self.classes, pixels, strict=True)}

    def stated_splits(self) -> list[str]:
        """The splits that hold a scene, in their usual order."""
        return [split for split in SPLITS if any(split in row.splits for row in self.scenes)]

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        splits = {
            split: {
                "scenes": sum(split in row.splits for row in self.scenes),
                "labelled_px": sum(self.pixels(split)),
                "shares": self.shares(split),
            }
            for split in self.stated_splits()
        }
        return asdict(self) | {"file": str(self.file), "splits": splits}

    def to_text(self) -> str:
        """Everything, for a terminal: scenes, class shares a split, the price, then errors and warnings."""
        listed = [("Errors", self.errors), ("Warnings", self.warnings)]
        parts = [
            f"{self.name}: {count_of(len(self.scenes), 'scene')}, bands {', '.join(self.bands)}",
            self._scene_table(),
            self._split_table(),
            _price(self.tile_labels),
            *("\n".join([f"{title} ({len(lines)}):", *(f"  {x}" for x in lines)]) for title, lines in listed if lines),
        ]
        verdict = "" if self.errors else "No errors."
        return "\n\n".join(part for part in [*parts, verdict] if part)

    def _scene_table(self) -> str:
        header = ["scene", "height × width", "gsd [m]", "CRS", "type", "split", "valid", "labelled", "heights"]
        return text_table(header, [_scene_cells(row) for row in self.scenes])

    def _split_table(self) -> str:
        rows = []
        for split in self.stated_splits():
            named = [row for row in self.scenes if split in row.splits]
            shares = [percent(share) for share in self.shares(split).values()]
            rows.append([split, str(len(named)), f"{sum(self.pixels(split)):,}", *shares])
        return text_table(["split", "scenes", "labelled px", *self.classes], rows)


def _scene_cells(row: SceneRow) -> list[str]:
    labelled = None if row.class_px is None else sum(row.class_px) / (row.height * row.width)
    valid = None if row.valid_px is None else row.valid_px / (row.height * row.width)
    gsd = "–" if row.gsd is None else f"{row.gsd:.3g}"
    size, split = f"{row.height} × {row.width}", ", ".join(row.splits) or "–"
    heights = "yes" if row.has_heights else "–"
    return [row.name, size, gsd, row.crs or "–", row.dtype, split, percent(valid), percent(labelled), heights]


def _price(tile_labels: int | None) -> str:
    return "Tile labels: cannot be counted" if tile_labels is None else f"Tile labels: {tile_labels:,}"
