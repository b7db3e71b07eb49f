"""What all verbs share: options, progress on standard error, results on standard output."""

from __future__ import annotations

import codecs
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

from reliefseg.config import Settings, load_settings, preset_names
from reliefseg.hardware import pick_device
from reliefseg.workflow.saying import Tick, in_words

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help=f"Settings to start from: {', '.join(preset_names())}. [default: by this machine]",
    ),
]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings, over the preset.")]
Assign = Annotated[list[str] | None, typer.Option("--set", help="One setting, key=value; may be repeated.")]
Json = Annotated[bool, typer.Option("--json", help="A machine-readable result on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No notes and no progress.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Folder for what is derived from the data set.")]
RunOut = Annotated[Path, typer.Option("-o", "--out", help="Run folder to write.")]
Devices = Annotated[
    int | None, typer.Option("--devices", min=1, help="GPUs a node; on the CPU processes. [default: 1]")
]
Nodes = Annotated[int | None, typer.Option("--nodes", min=1, help="Machines that learn together. [default: 1]")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in this folder.")]
DataSet = Annotated[Path, typer.Argument(help="Data-set folder, or its dataset.toml.")]


class Interrupted(Exception):
    """Ended by Ctrl-C or SIGTERM: how to go on."""


class Teller:
    """Notes and progress bars on standard error; plain lines where it is no terminal."""

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.console = Console(stderr=True, quiet=self.quiet, highlight=False, soft_wrap=True)

    def __reduce__(self) -> tuple[type[Teller], tuple[bool]]:
        """Another process gets one of its own."""
        return type(self), (self.quiet,)

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
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(),
        )  # fmt: skip
        began = time.monotonic()
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=None, rate="")
            yield lambda done, of: bar.update(
                task, completed=done, total=of, rate=_rate(done, time.monotonic() - began)
            )

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
                    f"{title}: {done:,} of {of:,}, {_rate(done, passed)}, {in_words(passed)}"
                    + (f", {in_words(left)} left" if done < of else "")
                )

        return tick


def _rate(done: int, seconds: float) -> str:
    return f"{done / max(seconds, 1e-3):.3g} a second"


def settings_for(preset: str | None, config: Path | None, assign: list[str] | None, teller: Teller) -> Settings:
    """The settings the options ask for; without a preset the one for this machine, said aloud."""
    if preset is None:
        preset = "default" if pick_device("auto").type == "cuda" else "cpu"
        why = "a GPU is here" if preset == "default" else "no GPU here"
        teller.note(f"preset: {preset} ({why}; --preset chooses another)")
    return load_settings(preset, config, assign or [])


def learning_settings(
    preset: str | None, config: Path | None, assign: list[str] | None, devices: int | None, nodes: int | None,
    run: Path, resume: bool, teller: Teller,
) -> Settings:  # fmt: skip
    """Settings of a run; a resumed one has its own, whatever else is asked for, which is said."""
    if resume:
        asked = any(option is not None for option in (preset, config, assign, devices, nodes))
        unread = "; --preset, --config, --set, --devices and --nodes are not read again" if asked else ""
        teller.note(f"going on with the settings in {run / 'config.toml'}{unread}")
        return Settings()
    counts = {"devices": devices, "nodes": nodes}
    assign = [*(assign or []), *(f"{name}={count}" for name, count in counts.items() if count is not None)]
    return settings_for(preset, config, assign, teller)


@contextmanager
def resumable(mark: Path) -> Iterator[None]:
    """Says, when interrupted, how to go on; `mark` is there once --resume would."""
    try:
        yield
    except KeyboardInterrupt:
        how = (
            "the same command with --resume goes on"
            if mark.exists()
            else "nothing was learnt yet: give the same command again"
        )
        raise Interrupted(f"interrupted; what was finished is kept, {how}") from None


def result(as_json: bool, value: Any, text: str = "") -> None:
    """The result on standard output: JSON, or text for people."""
    if as_json:
        # What the output cannot write would be escaped in Python's way; JSON has its own.
        sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=not _has_all(sys.stdout.encoding)) + "\n")
    elif text:
        sys.stdout.write(text.rstrip("\n") + "\n")


def _has_all(encoding: str | None) -> bool:
    """Whether an encoding has all characters; a stream in memory (None) needs none."""
    return encoding is None or codecs.lookup(encoding).name.startswith("utf-")
