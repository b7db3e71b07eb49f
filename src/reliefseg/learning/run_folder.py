"""The folder of a run: who holds it, what it logged, how far it came."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from reliefseg.errors import InputError
from reliefseg.raster.files import write_text


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Holds a run folder for this process; another process that wants it gets an InputError at once."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = os.open(run / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"run folder {run}: cannot be written ({error.strerror}); choose another with -o") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(f"run folder {run}: in use by another process; wait for it or choose another") from None
    finally:
        os.close(handle)


class RunLog:
    """`log.jsonl` and TensorBoard events: one line a logged step, in the order things happened."""

    def __init__(self, run: Path):
        self.path = run / "log.jsonl"
        self._events = SummaryWriter(str(run / "events"))
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, phase: str, event: str, **values: Any) -> None:
        """Appends one line; numbers also go to TensorBoard where there is a step."""
        line = {"phase": phase, "event": event, **values}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if "step" in values:
            numbers = {k: v for k, v in values.items() if isinstance(v, (int, float)) and k != "step"}
            for name, value in numbers.items():
                self._events.add_scalar(f"{phase}/{event}/{name}", value, values["step"])

    def note(self, text: str) -> None:
        """Something the reader of the report should know."""
        self.write("run", "note", text=text)

    def cut_back(self, phase: str, step: int) -> None:
        """Forgets what `phase` logged after `step`, and what a later phase logged: it will happen again."""
        self._file.close()
        lines = [json.loads(x) for x in self.path.read_text(encoding="utf-8").splitlines() if _is_whole(x)]
        kept = [x for x in lines if x["phase"] != phase or x.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(x) + "\n" for x in kept))
        self._file = self.path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Closes both files."""
        self._file.close()
        self._events.close()


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
