"""What an ablation varies: ingredients of the method, each with its levels, from plain to rich."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from reliefseg.config import Settings, settings_from
from reliefseg.errors import InputError
from reliefseg.raster import Dataset, nearest

Change = Mapping[str, Any]
"""Settings by their dotted keys."""
PLAIN = {"u2net": "unet", "u2net-small": "unet-small", "u2net-relief": "unet-small"}
"""The plain U-Net with as many weights; for `u2net-relief` with as much work."""


@dataclass(frozen=True)
class Level:
    """One way of having, or not having, an ingredient: its name, and what it changes in the recommended settings."""

    name: str
    change: Change


@dataclass(frozen=True)
class Factor:
    """An ingredient; `levels` from plain to rich. One of them leaves the recommended settings as they are."""

    key: str
    title: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Way:
    """Settings that are tried: a level of each factor that is not as recommended."""

    name: str
    settings: Settings


@dataclass(frozen=True)
class Question:
    """Does the richer level of a factor help? Each pair of ways differs in nothing else: (richer, plainer)."""

    factor: Factor
    richer: Level
    plainer: Level
    pairs: tuple[tuple[Way, Way], ...]


RECOMMENDED = "recommended"
USE_TILE_LABELS = {"pretraining", "lessons"}
"""Factors that have no choice without tile labels."""


def factors_of(dataset: Dataset, settings: Settings) -> dict[str, Factor]:
    """The factors that can be tried on this data set with these settings, by key; those without choice are left out."""
    factors = (
        Factor("depth", "depth as a band", _depth_levels(dataset, settings)),
        Factor("pretraining", "pretraining on tile labels", _switch({"pretrain.steps": 0})),
        Factor("lessons", "tile labels during training", _switch({"train.lessons.batch": 0})),
        Factor("adversarial", "adversarial training", _switch({"train.loss.adversarial": 0.0})),
        Factor("sides", "supervised side outputs", _switch({"train.loss.sides": 0.0})),
        Factor("boxes", "random boxes", _box_levels()),
        # the network comes last: a plain U-Net undoes the start from the depth network
        Factor("init", "start from the depth network's weights", _init_levels(settings)),
        Factor("network", _network_title(settings), (Level("plain U-Net", _plain(settings)), Level("U²-Net", {}))),
    )
    impossible = set() if dataset.split("tile_labelled") else set(USE_TILE_LABELS)
    impossible |= {"sides"} if settings.network.name in PLAIN.values() else set()
    open_to_choice = [f for f in factors if len(_distinct(f, settings)) > 1 and f.key not in impossible]
    return {factor.key: factor for factor in open_to_choice}


def _switch(off: Change) -> tuple[Level, ...]:
    return Level("off", off), Level("on", {})


def _depth_levels(dataset: Dataset, settings: Settings) -> tuple[Level, ...]:
    source = "builtin" if settings.depth.source == "none" else settings.depth.source
    used = [scene for names in dataset.splits.values() for scene in (dataset.scenes[name] for name in names)]
    levels = [
        Level("none", {"depth.source": "none"}),
        Level("depth alone", {"tiles.bands": [], "depth.source": source}),
        Level("builtin", {"depth.source": "builtin"}),
    ]
    if settings.tiles.bands == ():  # nothing would be left to see
        del levels[0]
    elif settings.network.weights is not None:  # made for image bands
        del levels[1]
    if used and all(scene.has_heights for scene in used):
        levels.append(Level("true heights", {"depth.source": "raster"}))
    return tuple(levels)


def _box_levels() -> tuple[Level, ...]:
    one_size = {"tiles.box_factor": [1.0, 1.0]}
    return (
        Level("ordered grid", {"tiles.centres": "grid", **one_size}),
        Level("random centre", one_size),
        Level("random centre and size", {}),
    )


def _plain(settings: Settings) -> Change:
    """A plain U-Net has no side outputs, and starts from nothing."""
    name = PLAIN.get(settings.network.name)
    if name is None:
        return {}
    return {"network.name": name, "network.init": "random", "network.weights": None, "train.loss.sides": 0.0}


def _network_title(settings: Settings) -> str:
    """A plain U-Net differs in its start too, where the recommended network has one."""
    starts = settings.network.init == "builtin" or settings.network.weights is not None
    return "U²-Net, with its start" if starts else "U²-Net"


def _init_levels(settings: Settings) -> tuple[Level, ...]:
    """Only the network of the depth network's shape has a choice."""
    on = {"network.init": "builtin"} if settings.network.name == "u2net-relief" else {}
    return Level("off", {"network.init": "random"}), Level("on", on)


def chosen(factors: Mapping[str, Factor], rows: Sequence[str], settings: Settings) -> list[Factor]:
    """The factors that rows name (`depth`), or some of their levels (`depth-none`); all where nothing is named.

    InputError names those that cannot be tried.
    """
    if not rows:
        return list(factors.values())
    slugs = [slug for factor in factors.values() for slug in _slugs(factor, settings)]
    unknown = [row for row in rows if row not in factors and row not in slugs]
    if unknown:
        raise InputError(
            f"--rows {row}: cannot be tried here; {nearest(row, [*factors, *slugs])}. A row needs what it varies: tile "
            "labels, heights, recommended settings that have the ingredient"
            for row in unknown
        )
    return [_narrowed(f, rows, settings) for f in factors.values() if {f.key, *_slugs(f, settings)} & set(rows)]


def _narrowed(factor: Factor, rows: Sequence[str], settings: Settings) -> Factor:
    """The factor with the levels that are asked for, and the recommended one."""
    if factor.key in rows:
        return factor
    dropped = [level for level in _others(factor, settings) if _slug(factor, level) not in rows]
    return replace(factor, levels=tuple(level for level in factor.levels if level not in dropped))


def _slugs(factor: Factor, settings: Settings) -> list[str]:
    return [_slug(factor, level) for level in _others(factor, settings)]


def _others(factor: Factor, settings: Settings) -> list[Level]:
    """The levels that are not as recommended."""
    levels = _distinct(factor, settings)
    return [level for level in levels if level is not _own(levels, settings)]


def one_at_a_time(factors: Sequence[Factor], settings: Settings) -> list[Question]:
    """Each other level of each factor against the recommended settings."""
    base = Way(RECOMMENDED, settings)
    questions = []
    for factor in factors:
        levels = _distinct(factor, settings)
        own = _own(levels, settings)
        for level in _others(factor, settings):
            way = Way(_slug(factor, level), changed(settings, level.change))
            rich_first = levels.index(own) > levels.index(level)
            pair, names = ((base, way), (own, level)) if rich_first else ((way, base), (level, own))
            questions.append(Question(factor, *names, (pair,)))
    return questions


def full_grid(factors: Sequence[Factor], settings: Settings) -> list[Question]:
    """All levels of each factor against each other, in all surroundings that the other factors make.

    Surroundings in which two levels are the same (a plain U-Net cannot start from the depth network) say nothing, and
    surroundings that differ in nothing (side outputs or not, of a plain U-Net) count once.
    """
    levels = [_distinct(factor, settings) for factor in factors]
    ways = dict(_grid(factors, levels, settings))
    questions = []
    for i, factor in enumerate(factors):
        for plainer, richer in combinations(range(len(levels[i])), 2):
            pairs = {
                (other.name, way.name): (other, way)
                for place, way in ways.items()
                if place[i] == plainer and (other := ways[(*place[:i], richer, *place[i + 1 :])]) != way
            }
            questions.append(Question(factor, levels[i][richer], levels[i][plainer], tuple(pairs.values())))
    return questions


def _grid(
    factors: Sequence[Factor], levels: Sequence[Sequence[Level]], settings: Settings
) -> Iterator[tuple[tuple[int, ...], Way]]:
    """The ways by their places; equal settings are one way, which has the shortest of their names."""
    places: dict[tuple[int, ...], Settings] = {}
    names: dict[str, list[str]] = {}
    for place in product(*(range(len(one)) for one in levels)):
        at = [(f, one[k]) for f, one, k in zip(factors, levels, place, strict=True)]
        places[place] = changed(settings, {key: value for _, level in at for key, value in level.change.items()})
        name = "+".join(_slug(f, level) for f, level in at if level in _others(f, settings))
        names.setdefault(places[place].model_dump_json(), []).append(name or RECOMMENDED)
    for place, one in places.items():
        yield place, Way(min(names[one.model_dump_json()], key=lambda name: name.count("+")), one)


def _distinct(factor: Factor, settings: Settings) -> list[Level]:
    """The levels that make different settings, the recommended ones among them."""
    found: dict[str, Level] = {}
    for level in factor.levels:
        found.setdefault(changed(settings, level.change).model_dump_json(), level)
    own = settings.model_dump_json()
    return list(found.values()) if own in found else [*found.values(), Level("as recommended", {})]


def _own(levels: Sequence[Level], settings: Settings) -> Level:
    return next(level for level in levels if changed(settings, level.change) == settings)


def changed(settings: Settings, change: Change) -> Settings:
    """Settings with some of them changed."""
    table = settings.model_dump(mode="json")
    for key, value in change.items():
        *path, last = key.split(".")
        place = table
        for part in path:
            place = place[part]
        place[last] = value
    return settings_from(table)


def _slug(factor: Factor, level: Level) -> str:
    """A name for folders."""
    return f"{factor.key}-{level.name}".replace(" ", "-").lower()
