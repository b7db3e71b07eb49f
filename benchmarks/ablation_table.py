"""A table of an ablation's runs in Markdown: mean IoU and IoU by class, mean over seeds, range in brackets.

    python benchmarks/ablation_table.py OUT [--split test] [--ways recommended depth-none ...]

OUT is the folder that `reliefseg ablate DATASET -o OUT` wrote; every run's `metrics.json` lies there.
"""

import argparse
import json
from pathlib import Path


def scores(folder, split):
    """Mean IoU, each class's IoU, overall accuracy and boundary F1: a list each, over the seeds."""
    found = [json.loads(p.read_text()) for p in sorted(folder.glob(f"seed*/evaluation/{split}/metrics.json"))]
    more = {"overall accuracy": "overall_accuracy", "boundary F1": "boundary_f1"}
    rows = [{"mean IoU": m["mean_iou"], **m["iou"], **{k: m[name] for k, name in more.items()}} for m in found]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def cell(values):
    if None in values:
        return "–"
    mean, low, high = (100 * f for f in (sum(values) / len(values), min(values), max(values)))
    return f"{mean:.1f} ({low:.1f}–{high:.1f})" if len(values) > 1 else f"{mean:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--ways", nargs="*")
    asked = parser.parse_args()
    ways = asked.ways or sorted(p.name for p in (asked.out / "runs").iterdir())
    table = {way: scores(asked.out / "runs" / way, asked.split) for way in ways}
    names = next((list(found) for found in table.values() if found), None)
    if names is None:
        raise SystemExit(f"{asked.out}: no finished run of these ways was scored on {asked.split}")
    print(f"| | {' | '.join(names)} | seeds |")
    print("|---" * (len(names) + 2) + "|")
    for way, found in table.items():
        if found:
            print(f"| {way} | {' | '.join(cell(found[name]) for name in names)} | {len(found['mean IoU'])} |")


if __name__ == "__main__":
    main()
