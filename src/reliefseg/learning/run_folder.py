"""The folder of a run: who holds it, what it logged, how far it came."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from reliefseg.errors import InputError, is_full_disk
from reliefseg.raster.files import locked, read_json_lines, write_text

LOG = "log.jsonl"


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Holds a run folder for this process; another process that wants it gets an InputError at once."""
    in_use = InputError(f"run folder {run}: in use by another process; wait for it or choose another")
    with ExitStack() as stack:
        try:
            run.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(run / ".lock", in_use))
        except OSError as error:
            raise InputError(
                f"run folder {run}: cannot be written ({error.strerror}); choose another with -o"
            ) from None
        yield


@contextmanager
def unless_full(tell: Callable[[OSError], object] = lambda error: None) -> Iterator[None]:
    """Goes on where the disk is full, and tells so."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        tell(error)


class RunLog:
    """`log.jsonl` and TensorBoard events: one line a logged step, in the order things happened.

    A full disk ends no run: lines wait in memory until there is room, and the curves are drawn anew from the log when
    the run is resumed.
    """

    def __init__(self, run: Path):
        self.path, self._curves = run / LOG, Curves(run / "events")
        self._waiting = b""
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            self._write_anew(self.lines())
        self._file = self.path.open("ab", buffering=0)

    def write(self, phase: str, event: str, **values: Any) -> None:
        """Appends one line; numbers also go to TensorBoard where there is a step."""
        line = {"phase": phase, "event": event, **values}
        self._waiting += json.dumps(line).encode() + b"\n"
        with unless_full():
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) :]
        with unless_full():
            self._curves.draw(line)

    def note(self, text: str) -> None:
        """Something the reader of the report should know; logged once, however often a run is resumed."""
        if not any(line["event"] == "note" and line["text"] == text for line in self.lines()):
            self.write("run", "note", text=text)

    def cut_back(self, phase: str, step: int) -> None:
        """Forgets what `phase` logged after `step`, in log and curves: it will happen again."""
        kept = [x for x in self.lines() if x["phase"] != phase or x.get("step", 0) <= step]
        self._write_anew(kept)  # fails where the disk is full: then the old file is still open
        self._file.close()
        self._file = self.path.open("ab", buffering=0)
        self._curves.forget()
        with unless_full():
            for line in kept:
                self._curves.draw(line)

    def lines(self) -> list[dict[str, Any]]:
        """What is in the file."""
        return log_lines(self.path.parent)

    def close(self) -> None:
        """Closes both files."""
        self._file.close()
        self._curves.close()

    def _write_anew(self, lines: list[dict[str, Any]]) -> None:
        write_text(self.path, "".join(json.dumps(x) + "\n" for x in lines))


class NoLog:
    """What processes beside the first log: nothing."""

    def write(self, phase: str, event: str, **values: Any) -> None:
        """Drops the line."""

    def note(self, text: str) -> None:
        """Drops the text."""

    def cut_back(self, phase: str, step: int) -> None:
        """Has nothing to forget."""

    def close(self) -> None:
        """Has nothing to close."""


Log = RunLog | NoLog


class Curves:
    """TensorBoard's event files in a folder; a new one is begun with the first number drawn."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: BinaryIO | None = None

    def draw(self, line: dict[str, Any]) -> None:
        """The numbers of a log line over its step."""
        numbers = {k: v for k, v in line.items() if isinstance(v, (int, float)) and k != "step"}
        if "step" in line and numbers:
            tags = {f"{line['phase']}/{line['event']}/{k}": float(v) for k, v in numbers.items()}
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in tags.items()]
            self._append(Event(wall_time=time.time(), step=line["step"], summary=Summary(value=values)))

    def forget(self) -> None:
        """Removes all that was drawn."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            with unless_full():
                self._file.close()
        self._file = None

    def _append(self, event: Event) -> None:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"
            self._file = (self.folder / name).open("ab")
            self._append(Event(wall_time=time.time(), file_version="brain.Event:2"))
        RecordWriter(self._file).write(event.SerializeToString())
        self._file.flush()


def log_lines(run: Path) -> list[dict[str, Any]]:
    """What a run logged; a line cut short is left out."""
    return read_json_lines(run / LOG)[0]
