"""What all verbs share: options, progress on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reliefseg.config import Settings, load_settings
from reliefseg.hardware import pick_device
from reliefseg.workflow.saying import Tick, in_words

Preset = Annotated[
    str | None,
    typer.Option("--preset", help="Settings to start from: default, cpu, original, debug. [default: by this machine]"),
]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings, over the preset.")]
Assign = Annotated[list[str] | None, typer.Option("--set", help="One setting, key=value; may be repeated.")]
Json = Annotated[bool, typer.Option("--json", help="A machine-readable result on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No notes and no progress.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Folder for what is derived from the data set.")]
RunOut = Annotated[Path, typer.Option("-o", "--out", help="Run folder to write.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in this folder.")]
DataSet = Annotated[Path, typer.Argument(help="Data-set folder, or its dataset.toml.")]


class Teller:
    """Notes and progress bars on standard error; plain lines where it is no terminal."""

    def __init__(self, quiet: bool):
        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    @contextmanager
    def progress(self, title: str) -> Iterator[Tick]:
        """A bar with time left, or a line every tenth of the way."""
        if not self.console.is_terminal:
            yield self._lines(title)
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left:"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)

    def _lines(self, title: str) -> Tick:
        began, told = time.monotonic(), 0

        def tick(done: int, of: int) -> None:
            nonlocal told
            tenth = 10 * done // of
            if tenth > told:
                told = tenth
                passed = time.monotonic() - began
                left = passed / done * (of - done)
                self.note(
                    f"{title}: {done:,} of {of:,}, {in_words(passed)}"
                    + (f", {in_words(left)} left" if done < of else "")
                )

        return tick


def settings_for(preset: str | None, config: Path | None, assign: list[str] | None, teller: Teller) -> Settings:
    """The settings the options ask for; without a preset the one for this machine, said aloud."""
    if preset is None:
        preset = "default" if pick_device("auto").type == "cuda" else "cpu"
        why = "a GPU is here" if preset == "default" else "no GPU here"
        teller.note(f"preset: {preset} ({why}; --preset chooses another)")
    return load_settings(preset, config, assign or [])


def result(as_json: bool, value: Any, text: str = "") -> None:
    """The result on standard output: JSON, or text for people."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    elif text:
        sys.stdout.write(text.rstrip("\n") + "\n")
