"""What a run folder says about itself: its files read into one value, each of them optional."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reliefseg.errors import InputError
from reliefseg.raster.files import read_json_lines

SPLIT_ORDER = ("test", "validation")
"""Which split a report speaks of first."""


@dataclass(frozen=True)
class SplitFiles:
    """An evaluated split: its name, its metrics, its pictures and class panels by scene."""

    name: str
    metrics: Mapping[str, Any]
    pictures: Mapping[str, Path]
    panels: Mapping[str, Path]

    @property
    def classes(self) -> list[str]:
        """Class names in order."""
        return [str(name) for name in self.metrics.get("classes", [])]

    @property
    def per_scene(self) -> dict[str, Mapping[str, Any]]:
        """Figures by scene, in the file's order."""
        return dict(self.metrics.get("per_scene") or {})

    def by_class(self, key: str, under: str | None = None) -> dict[str, float | None]:
        """A figure by class name, all None where the metrics lack it; `under` names a block (`eroded`)."""
        block = self.metrics.get(under) if under else self.metrics
        values = (block or {}).get(key) or {}
        return {name: values.get(name) for name in self.classes}

    @property
    def unseen(self) -> bool:
        """Whether neither training nor tuning has read any of its scenes, as far as the run knows."""
        return self.name == "test" and not self.metrics.get("learnt_from") and not self.metrics.get("picked_on")

    def mean_iou_of(self, scene: str) -> float | None:
        """A scene's mean IoU; None where it is undefined or not there."""
        return self.per_scene.get(scene, {}).get("mean_iou")


@dataclass(frozen=True)
class RunFiles:
    """A run folder's content: settings, environment, data, log lines, evaluated splits, progress pictures."""

    path: Path
    settings: str
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    log: Sequence[Mapping[str, Any]]
    splits: Sequence[SplitFiles]
    progress: Mapping[int, Path]
    unread_lines: int = 0
    parsed_settings: Mapping[str, Any] = field(default_factory=dict)

    def lines(self, phase: str, event: str) -> list[Mapping[str, Any]]:
        """Log lines of a phase and event in order of steps; of steps done twice (resumption) the last."""
        kept: list[Mapping[str, Any]] = []
        for line in self.log:
            if line.get("phase") == phase and line.get("event") == event and "step" in line:
                while kept and kept[-1]["step"] >= line["step"]:
                    kept.pop()
                kept.append(line)
        return kept

    def notes(self) -> list[str]:
        """What the run wrote down in words."""
        return [str(line.get("text", "")) for line in self.log if line.get("event") == "note"]

    def timings(self) -> dict[str, float]:
        """Seconds by part of the work, the slowest first, parts of the same name added up."""
        total: dict[str, float] = {}
        for line in self.log:
            if line.get("event") == "timing":
                part = str(line.get("part", "other"))
                total[part] = total.get(part, 0.0) + float(line.get("seconds", 0.0))
        return dict(sorted(total.items(), key=lambda one: -one[1]))


def read_run(path: Path) -> RunFiles:
    """Reads what a run folder holds. Absent files are left empty; broken ones are all named at once.

    Lines of the log that an interruption cut short are counted in `unread_lines`. Raises InputError if there
    is no such folder, or none of a run's files in it, or JSON or TOML that cannot be read.
    """
    known = [path / name for name in ("config.toml", "data.json", "environment.json", "log.jsonl", "evaluation")]
    if not any(one.exists() for one in known):
        raise InputError(
            f"{path}: found none of {', '.join(one.name for one in known)}; expected a run folder. "
            "Name the folder that `reliefseg run … -o` or `reliefseg train … -o` wrote."
        )
    offences: list[str] = []
    settings = (path / "config.toml").read_text(encoding="utf-8") if (path / "config.toml").is_file() else ""
    log, unread = read_json_lines(path / "log.jsonl")
    run = RunFiles(
        path=path,
        settings=settings,
        environment=_json(path / "environment.json", offences),
        data=_json(path / "data.json", offences),
        log=log,
        splits=_splits(path / "evaluation", offences),
        progress={int(one.stem): one for one in sorted((path / "progress").glob("*.png")) if one.stem.isdigit()},
        unread_lines=unread,
        parsed_settings=_toml(path / "config.toml", settings, offences),
    )
    if offences:
        raise InputError(offences)
    return run


def _splits(folder: Path, offences: list[str]) -> list[SplitFiles]:
    """Every evaluated split, test first, then validation, then the others by name."""
    files = sorted(folder.glob("*/metrics.json"), key=lambda one: (_rank(one.parent.name), one.parent.name))
    return [_split(one.parent, _json(one, offences)) for one in files]


def _split(folder: Path, metrics: dict[str, Any]) -> SplitFiles:
    scenes = metrics.get("per_scene") or {}
    pictures, panels = (
        {scene: one for scene in scenes if (one := folder / kind / f"{scene}.png").is_file()}
        for kind in ("pictures", "panels")
    )
    return SplitFiles(folder.name, metrics, pictures, panels)


def _rank(split: str) -> int:
    return SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER)


def _json(path: Path, offences: list[str]) -> dict[str, Any]:
    """A JSON object, empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        offences.append(f"{path}: not JSON ({error}); expected what a run writes. Run it again, or delete the file.")
        return {}
    if not isinstance(value, dict):
        offences.append(f"{path}: found a {type(value).__name__}; expected a JSON object. Run it again.")
        return {}
    return value


def _toml(path: Path, text: str, offences: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        offences.append(f"{path}: not TOML ({error}); expected the resolved settings of a run. Mend that line.")
        return {}
