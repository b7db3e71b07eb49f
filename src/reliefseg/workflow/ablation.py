"""Which ingredients of the method help on a data set's own scenes, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from reliefseg.config import Settings
from reliefseg.errors import InputError
from reliefseg.evaluation.ablation_page import write_ablation_page
from reliefseg.evaluation.verdicts import answered, notes_on_evidence
from reliefseg.learning.run_folder import held
from reliefseg.raster import Dataset
from reliefseg.raster.files import write_json
from reliefseg.workflow.ablation_factors import (
    RECOMMENDED,
    Factor,
    Question,
    Way,
    changed,
    chosen,
    factors_of,
    one_at_a_time,
)
from reliefseg.workflow.ablation_runs import (
    Job,
    Metrics,
    finish,
    learning_seconds,
    notes_on_picking,
    refuse_split,
    surroundings,
)
from reliefseg.workflow.contents import Contents, contents_of
from reliefseg.workflow.making_depth import with_depth_resolved
from reliefseg.workflow.record import classes_not_shown
from reliefseg.workflow.saying import SILENT, Sayer

Design = Callable[[Sequence[Factor], Settings], list[Question]]
Runs = Mapping[str, list[Metrics]]
"""What the runs of each way scored, one a seed."""


@dataclass(frozen=True)
class Ablation:
    """What is asked: which factors (none named: all), how they are put together, seeds, and the split that scores.

    `equal` says what all ways get alike: the same steps, or, besides, as much time for learning as the recommended
    settings take.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    rows: tuple[str, ...] = ()
    design: Design = one_at_a_time
    split: str = "validation"
    equal: Literal["steps", "time"] = "steps"


def ablate(
    dataset: Dataset, out: Path, settings: Settings, ablation: Ablation, *, say: Sayer = SILENT
) -> dict[str, Any]:
    """Trains with and without each ingredient and says what helps; writes `ablation.json` and `ablation.html`.

    Runs lie in `OUT/runs/<way>/seed<N>`; finished ones are kept, so that the same command goes on after an
    interruption. InputError: a split without labels, factors that cannot be tried, settings that cannot be trained.
    """
    with held(out):
        refuse_split(dataset, ablation.split)
        settings = with_depth_resolved(settings, dataset)
        possible = factors_of(dataset, settings)
        questions = ablation.design(chosen(possible, ablation.rows, settings), settings)
        if not questions:
            raise InputError("ablation: no ingredient has a choice with these settings and this data set")
        contents = contents_of(dataset, ablation.split, say)
        runs = _run_all(questions, dataset, contents, out, ablation, say)
        found = _told(dataset, settings, ablation, runs)
        found["notes"] += _unlearnt(_folder(out, next(iter(runs)), ablation.seeds[0]), runs)
        found["notes"] += _not_counted(out, runs, ablation.split)
        found["questions"] = _answers(questions, runs)
        if ablation.equal == "time":
            timed = [_at_equal_time(question, out, ablation) for question in questions]
            more = _run_all(timed, dataset, contents, out, ablation, say)
            found["equal_time"] = _answers(timed, more)
            found["ways"] |= _ways(more)
        write_json(out / "ablation.json", found)
        write_ablation_page(out / "ablation.html", found)
    return found


def _run_all(
    questions: Sequence[Question], dataset: Dataset, contents: Contents, out: Path, ablation: Ablation, say: Sayer
) -> dict[str, list[Metrics]]:
    ways = {way.name: way for question in questions for pair in question.pairs for way in pair}
    first = sorted(ways.values(), key=lambda way: way.name != RECOMMENDED)

    def job(way: Way, seed: int) -> Job:
        settings = changed(way.settings, {"seed": seed})
        folder = _folder(out, way.name, seed)
        return Job(f"{way.name}, seed {seed}", dataset, settings, folder, ablation.split, contents)

    jobs = {way.name: [job(way, seed) for seed in ablation.seeds] for way in first}
    by_seed = [job for same_seed in zip(*jobs.values(), strict=True) for job in same_seed]
    metrics = finish(by_seed, say)
    return {name: [metrics[job.name] for job in one] for name, one in jobs.items()}


def _not_counted(out: Path, runs: Runs, split: str) -> list[str]:
    """Said where other rows were asked for before: corrected for too few rows, a verdict is too bold."""
    scored = (out / "runs").glob(f"*/seed*/evaluation/{split}/metrics.json")
    others = {path.parents[3].name for path in scored} - runs.keys()
    others = {name for name in others if not name.startswith("labels-") and not name.endswith("-equal-time")}
    if not others:
        return []
    return [
        f"Not counted here, though scored in {out / 'runs'}: {', '.join(sorted(others))}: ask for all rows together "
        "before you claim one, for p is corrected over the rows of this page alone."
    ]


def _folder(out: Path, way: str, seed: int) -> Path:
    return out / "runs" / way / f"seed{seed}"


def _at_equal_time(question: Question, out: Path, ablation: Ablation) -> Question:
    """The question with as many steps for every way as fit into the time the recommended settings took."""
    pairs = tuple(
        (_given_time(richer, out, ablation), _given_time(plainer, out, ablation)) for richer, plainer in question.pairs
    )
    return replace(question, pairs=pairs)


def _given_time(way: Way, out: Path, ablation: Ablation) -> Way:
    if way.name == RECOMMENDED:
        return way
    wanted, _ = _seconds(out, RECOMMENDED, ablation)
    taken, a_step = _seconds(out, way.name, ablation)
    steps = max(1, round(way.settings.train.steps + (wanted - taken) / a_step))
    return Way(f"{way.name}-equal-time", changed(way.settings, {"train.steps": steps}))


def _seconds(out: Path, way: str, ablation: Ablation) -> tuple[float, float]:
    """Mean seconds of learning, and of a step of training."""
    seconds = [learning_seconds(_folder(out, way, seed)) for seed in ablation.seeds]
    learning, a_step = (sum(one) / len(seconds) for one in zip(*seconds, strict=True))
    return learning, a_step


def _told(dataset: Dataset, settings: Settings, ablation: Ablation, runs: Runs) -> dict[str, Any]:
    metrics = next(iter(runs.values()))[0]
    notes = notes_on_evidence(metrics, len(ablation.seeds)) + notes_on_picking(settings, ablation.split)
    return {
        **surroundings(dataset, ablation.split, ablation.seeds, metrics),
        "settings": settings.model_dump(mode="json"),
        "ways": _ways(runs),
        "notes": notes,
    }


def _unlearnt(folder: Path, runs: Runs) -> list[str]:
    """Classes that no pixel-labelled scene shows and the truth has: said, because they count in every mean."""
    truth = set(next(iter(runs.values()))[0]["classes_without_truth"])
    missing = [name for name in classes_not_shown(folder) if name not in truth]
    if not missing:
        return []
    return [f"No pixel-labelled scene shows {', '.join(missing)}; what it scores is in every mean."]


def _ways(runs: Runs) -> dict[str, Any]:
    """What each way scored by seed, how long it took, and how often the split was read for it."""
    kept = ("mean_iou", "mean_f1", "overall_accuracy", "boundary_f1", "seconds", "steps", "readings")
    return {name: {key: [one[key] for one in metrics] for key in kept} for name, metrics in runs.items()}


def _answers(questions: Sequence[Question], runs: Runs) -> list[dict[str, Any]]:
    pairs = [[(runs[richer.name], runs[plainer.name]) for richer, plainer in q.pairs] for q in questions]
    return [
        {
            "factor": question.factor.key,
            "title": question.factor.title,
            "with": question.richer.name,
            "without": question.plainer.name,
            "ways": [[richer.name, plainer.name] for richer, plainer in question.pairs],
            "differences": answer,
        }
        for question, answer in zip(questions, answered(pairs), strict=True)
    ]
