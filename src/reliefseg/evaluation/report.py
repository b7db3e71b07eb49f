"""The report of a run: one HTML file that explains itself, made from the run folder's files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reliefseg.evaluation import costs, curves, sections
from reliefseg.evaluation.advice import advise
from reliefseg.evaluation.embedding import Wanted, embed_all, panel_names
from reliefseg.evaluation.reliability import calibration_section
from reliefseg.evaluation.runfiles import RunFiles, SplitFiles, read_run
from reliefseg.raster.files import write_text

_HERO_WIDTH, _PANEL_WIDTH, _PAGE_WIDTH = 760, 520, 1500
_HERO_PANELS = ("image", "prediction", "truth")
_MOST_SCENES, _MOST_SCENES_ELSEWHERE, _MOST_PANELS = 9, 3, 3
_CAPTIONS = {
    "image": "Image",
    "prediction": "Predicted map",
    "truth": "Truth",
    "depth": "Depth (light is high)",
    "errors": "Errors (red is wrong)",
}


@dataclass
class _Album:
    """Pictures the page asks for, by key, until they are embedded all together."""

    wanted: dict[str, Wanted] = field(default_factory=dict)

    def ask(self, key: str, path: Path, panel: str | None, width: int) -> dict[str, Any]:
        """Notes a picture down; gives what the template needs to place it."""
        self.wanted[key] = Wanted(path, panel, width)
        return {"key": key, "panel": panel, "caption": _CAPTIONS.get(panel or "", panel or "")}


def write_report(run: Path) -> Path:
    """Writes `RUN/report.html` from what the run folder holds and returns its path.

    The file needs nothing beside it and no network: pictures are embedded, reduced until the page stays under some
    8 MB. Whatever the run lacks (validation, truth, depth, pretraining, an evaluation) is said in a sentence or left
    out. Figures come from split test where it was evaluated, else from validation. Raises InputError for a folder
    that is no run folder and for files of it that are broken.
    """
    page = run / "report.html"
    write_text(page, render(read_run(run)))
    return page


def render(run: RunFiles) -> str:
    """The report's HTML."""
    album = _Album()
    split = run.splits[0] if run.splits else None
    context: dict[str, Any] = {
        "hero": _hero(split, album),
        "galleries": [_gallery(one, album, _most(index)) for index, one in enumerate(run.splits)],
        "progress": [
            {"percent": percent, **album.ask(f"progress-{percent}", path, None, _PAGE_WIDTH)}
            for percent, path in run.progress.items()
        ],
    }
    pictures = embed_all(album.wanted)
    return page_template("report.html").render(**context, **_words(run, split), run=run, split=split, pictures=pictures)


def hero_scene(split: SplitFiles) -> str | None:
    """The scene shown first: the middle one by mean IoU, neither best nor worst (of an even number, the worse of
    the two in the middle); None without pictures."""
    ordered = _by_mean_iou(split, list(split.pictures))
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def page_template(name: str) -> Any:
    """One of our pages, ready to be filled."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": sections.share_text, "duration": costs.duration}
    return environment.get_template(name)


def _words(run: RunFiles, split: SplitFiles | None) -> dict[str, Any]:
    """Everything on the page that is no picture."""
    return {
        "title": run.data.get("name") or run.path.resolve().name,
        "swatches": sections.swatches(run),
        "figures": sections.three_figures(split) if split else [],
        "absent": sections.absent_classes(split) if split else [],
        "advice": advise(run, split),
        "data_splits": sections.split_rows(run),
        "settings": sections.setting_groups(run),
        "training": curves.training_charts(run),
        "pretraining": curves.pretraining_charts(run),
        "best": curves.best_check(run),
        "times": costs.time_rows(run),
        "speeds": costs.speeds(run),
        "cost": costs.cost_rows(split) if split else {},
        "measured": [_measured(run, one) for one in run.splits],
    }


def _measured(run: RunFiles, split: SplitFiles) -> dict[str, Any]:
    """The tables and the reliability diagram of an evaluated split."""
    return {
        "name": split.name,
        "count": sections.scene_count(split),
        "classes": sections.class_rows(split),
        "means": sections.mean_row(split),
        "scenes": sections.scene_rows(split),
        "confusion": sections.confusion_rows(split),
        "calibration": calibration_section(run, split),
        "original": sections.original_rows(split),
        "absent": sections.absent_classes(split),
        "ignored_wrong": sections.accuracy_of_all(split),
    }


def _hero(split: SplitFiles | None, album: _Album) -> dict[str, Any] | None:
    """The first picture: a scene's photo beside its map (and the truth), or all of a picture without panels."""
    scene = hero_scene(split) if split else None
    if split is None or scene is None:
        return None
    path = split.pictures[scene]
    named = panel_names(path)
    shown: list[str | None] = [panel for panel in _HERO_PANELS if panel in named] or [None]
    return {
        "scene": scene,
        "split": split.name,
        "mean_iou": split.mean_iou_of(scene),
        "place": _place(split),
        "panels": [album.ask(f"hero-{panel}", path, panel, _HERO_WIDTH if panel else _PAGE_WIDTH) for panel in shown],
    }


def _place(split: SplitFiles) -> str:
    """Why this scene is the first, so that nobody takes it for the best; nothing where there is no choice."""
    count = len(split.pictures)
    if count < 2 or any(split.mean_iou_of(scene) is None for scene in split.pictures):
        return ""
    if count == 2:
        return "It is the worse of 2 scenes."
    return f"It is the middle one of {count} scenes, neither the best nor the worst."


def _gallery(split: SplitFiles, album: _Album, most: int) -> dict[str, Any]:
    """A split's scenes in pictures, from the worst to the best, and class panels of some of them."""
    chosen = _spread(_by_mean_iou(split, list(split.pictures)), most)
    paneled = _spread(_by_mean_iou(split, list(split.panels)), _MOST_PANELS)
    return {
        "name": split.name,
        "left_out": len(split.pictures) - len(chosen),
        "scenes": [_pictured(split, scene, number, album) for number, scene in enumerate(chosen)],
        "panels": [
            {
                "scene": scene,
                **album.ask(f"{split.name}-panels-{number}", split.panels[scene], None, _PAGE_WIDTH),
            }
            for number, scene in enumerate(paneled)
        ],
    }


def _pictured(split: SplitFiles, scene: str, number: int, album: _Album) -> dict[str, Any]:
    path = split.pictures[scene]
    shown: Sequence[str | None] = panel_names(path) or [None]
    width = _PANEL_WIDTH if shown[0] else _PAGE_WIDTH
    panels = [album.ask(f"{split.name}-{number}-{panel}", path, panel, width) for panel in shown]
    return {"scene": scene, "mean_iou": split.mean_iou_of(scene), "panels": panels}


def _most(index: int) -> int:
    """How many scenes of a split are pictured: more of the one the report speaks of."""
    return _MOST_SCENES if index == 0 else _MOST_SCENES_ELSEWHERE


def _by_mean_iou(split: SplitFiles, scenes: Sequence[str]) -> list[str]:
    """Scenes from the worst to the best; those without a figure first, by name."""
    return sorted(scenes, key=lambda scene: (split.mean_iou_of(scene) or 0.0, scene))


def _spread(scenes: Sequence[str], most: int) -> list[str]:
    """At most so many of the scenes, evenly from first to last."""
    if len(scenes) <= most:
        return list(scenes)
    return [scenes[round(i * (len(scenes) - 1) / (most - 1))] for i in range(most)]
