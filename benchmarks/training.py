"""Images a second of every training step, beside the original's, as a table: `make bench`.

Needs no data. Each row runs in a process of its own, one after the other; run nothing else meanwhile. On 2 cores the
whole table takes some ten minutes; name rows to measure those alone. Writes its section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from results import machine, write_section

STEPS = [(kind, net, batch) for kind in ("adversarial", "pretraining") for net in ("u2net", "u2net-small")
         for batch in (4, 12)]  # fmt: skip
REFERENCES = [(kind, "u2net", 4) for kind in ("original", "original_keeping_memory", "plain")]
REFERENCES += [("plain", "u2net-small", 4)]
ROWS = {f"{kind} {net} {batch}": (kind, net, batch) for kind, net, batch in REFERENCES + STEPS}
ALONE = ("matrix_rate", "large_bank")


def measure(*case: object) -> dict[str, Any]:
    """Runs one case in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", *map(str, case)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_case(name: str, *arguments: str) -> None:
    """What the process does: measures, and prints a line of JSON."""
    import cases

    given = [arguments[0], int(arguments[1])] if arguments else []
    print(json.dumps(getattr(cases, name)(*given)))


def table(found: dict[str, Any], rate: float) -> str:
    """The rows as Markdown; shares of the matrix rate are of the model's operations, not of those done twice."""
    lines = ["| step | network | batch | images/s | share of matrix rate | tile supply | peak memory, GB |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, r in found.items():
        kind, net, batch = ROWS[name]
        supply = "" if r["supply_share"] is None else f"{r['supply_share']:.1%}"
        lines.append(
            f"| {kind.replace('_', ' ')} | {net} | {batch} | {r['images_per_second']:.2f} | {r['gflops'] / rate:.0%} "
            f"| {supply} | {r['peak_gigabytes']:.1f} |"
        )
    return "\n".join(lines)


def comparisons(found: dict[str, Any]) -> list[str]:
    """How much faster our step is than the references."""
    pairs = [
        ("adversarial u2net 4", "original u2net 4"), ("adversarial u2net 4", "original_keeping_memory u2net 4"),
        ("adversarial u2net 4", "plain u2net 4"), ("adversarial u2net-small 4", "plain u2net-small 4"),
    ]  # fmt: skip
    return [
        f"* {ours} over {theirs.replace('_', ' ')}: "
        f"{found[ours]['images_per_second'] / found[theirs]['images_per_second']:.1f} times"
        for ours, theirs in pairs
        if ours in found and theirs in found
    ]


def report(result: dict[str, Any]) -> str:
    """The section of RESULTS.md."""
    rate, bank = result["matrix_rate"], result["large_bank"]
    head = (
        f"{result['machine']}; tiles of 256 px, 4 bands, 5 classes.\n\n"
        f"Best square matrix product in {rate['precision']}: {rate['gflops']:.0f} GFLOP/s."
    )
    large = (
        f"A bank of 33 scenes of 2,000 × 2,500 px ({bank['gigabytes']:.2f} GB): built in {bank['seconds']:.1f} s, "
        f"{bank['bytes_over_raw']:.2f} times its bytes."
    )
    return "\n\n".join([head, table(result["rows"], rate["gflops"]), "\n".join(comparisons(result["rows"])), large])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"rows to measure: {', '.join(ROWS)}; default: all", metavar="ROW")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON; RESULTS.md stays as it is")
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        return run_case(*arguments.case)
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"unknown rows: {', '.join(sorted(unknown))}; known: {', '.join(ROWS)}")
    result = {"machine": machine(), **{name: measure(name) for name in ALONE}, "rows": {}}
    for name in arguments.rows or ROWS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        result["rows"][name] = measure(*ROWS[name])
    if arguments.json:
        print(json.dumps(result, indent=1))
        return None
    print(report(result))
    if not arguments.rows:
        write_section("training", report(result))
    return None


if __name__ == "__main__":
    main()
