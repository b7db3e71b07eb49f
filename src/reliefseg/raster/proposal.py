"""What `init` proposes, and how it is written down: `dataset.toml` with comments, JSON, text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from reliefseg.raster.dataset_file import SPLITS
from reliefseg.raster.files import toml_string
from reliefseg.raster.tables import count_of, percent, text_table


@dataclass(frozen=True)
class ClassRow:
    """A class as found: its colour (`#RRGGBB`) or id in label files and how many pixels (or polygons) it has.

    `share` is of all labelled pixels; None where nothing was counted.
    """

    name: str
    color: str | None
    id: int | None
    count: int
    share: float | None


@dataclass(frozen=True)
class Proposal:
    """A data-set file as it was written, and what could not be known.

    `files` is the table `[files]`, `exceptions` the tables `[scenes.NAME]`. `unknown` says what to look at and
    correct, `left_out` which files are not used and why, `faults` what `check` refuses already by the headers.
    """

    file: Path
    scenes: tuple[str, ...]
    bands: tuple[str, ...]
    classes: tuple[ClassRow, ...]
    counted: Literal["px", "polygons", "nothing"]
    files: dict[str, str]
    exceptions: dict[str, dict[str, str]]
    tile_labels: str | None
    splits: dict[str, list[str]]
    unknown: tuple[str, ...]
    left_out: tuple[str, ...]
    faults: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self) | {"file": str(self.file)}

    def to_text(self) -> str:
        """Everything, for a terminal."""
        patterns = [f"  {role}: {pattern}" for role, pattern in self.files.items()]
        splits = [f"  {split}: {count_of(len(names), 'scene')}" for split, names in self.splits.items()]
        named = count_of(len(self.exceptions), "scene") + " named one by one in [scenes.NAME]"
        listed = {
            "To look at and correct": self.unknown,
            "Left out": self.left_out,
            "Errors that check will tell": self.faults,
        }
        parts = [
            f"Wrote {self.file}: {count_of(len(self.scenes), 'scene')}, bands {', '.join(self.bands)}",
            "\n".join(["Files:", *patterns, *([f"  {named}"] if self.exceptions else [])]),
            text_table(["class", "in label files", self.counted, "share"], [_class_cells(c) for c in self.classes]),
            "\n".join(["Splits:", *splits]),
            *("\n".join([f"{title}:", *(f"  {_clean(x)}" for x in lines)]) for title, lines in listed.items() if lines),
            f"Next: edit {self.file.name}, then reliefseg check {self.file.parent}",
        ]
        return "\n\n".join(parts)

    def to_toml(self) -> str:
        """The data-set file, with comments for its reader."""
        head = ["Written by reliefseg init. Look at and correct:", *(f"* {line}" for line in self.unknown)]
        lines = [*_comments(head), "", f"name = {toml_string(self.file.parent.resolve().name or 'data')}"]
        lines += [f"bands = {_list(self.bands)}", *self._class_lines(), "", *_table("files", self.files)]
        for name, entry in self.exceptions.items():
            lines += ["", *_table(f"scenes.{toml_string(name)}", entry)]
        if self.tile_labels is not None:
            lines += ["", *_table("tile_labels", {"file": self.tile_labels})]
        lines += ["", "[splits]", *(f"{s} = {_list(self.splits[s])}" for s in SPLITS if s in self.splits)]
        return "\n".join(lines) + "\n"

    def _class_lines(self) -> list[str]:
        lines: list[str] = []
        for row in self.classes:
            share = "" if row.share is None else f" ({percent(row.share)})"
            lines += ["", "[[classes]]"]
            lines += [] if self.counted == "nothing" else [f"# {row.count:,} {self.counted}{share}"]
            lines += [f"name = {toml_string(row.name)}"]
            lines += [] if row.color is None else [f"color = {toml_string(row.color)}"]
            lines += [] if row.id is None else [f"id = {row.id}"]
        return [*lines, "", *_comments(["To ignore a colour or an id: delete its class, and", *IGNORE_EXAMPLE])]


IGNORE_EXAMPLE = ("[ignore]", 'colors = ["#000000"]', "ids = [255]")


def _class_cells(row: ClassRow) -> list[str]:
    value = row.color if row.color is not None else str(row.id)
    return [row.name, value, f"{row.count:,}", percent(row.share)]


def _table(name: str, entries: Mapping[str, str]) -> list[str]:
    return [f"[{name}]", *(f"{key} = {toml_string(value)}" for key, value in entries.items())]


def _list(values: Iterable[str]) -> str:
    """On one line where it is short, else one entry a line."""
    quoted = [toml_string(v) for v in values]
    line = f"[{', '.join(quoted)}]"
    return line if len(line) < 90 else "\n".join(["[", *(f"    {q}," for q in quoted), "]"])


def _comments(lines: Iterable[str]) -> list[str]:
    return [f"# {_clean(line)}" for line in lines]


def _clean(text: str) -> str:
    """Control characters, as file names may have them, shown as `?`."""
    return "".join(c if c.isprintable() else "?" for c in text)
