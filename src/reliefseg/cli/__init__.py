"""The command line: reads arguments, calls one function of `workflow`, prints."""

from __future__ import annotations

import errno
import signal
import sys
from types import FrameType

import typer

from reliefseg.cli import data, learn, use
from reliefseg.errors import InputError

app = typer.Typer(
    name="reliefseg",
    help="Segmentation of aerial and drone orthophotos from very few labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    learn.demo, data.init, data.generate, data.check, data.depth,
    learn.pretrain, learn.train, use.evaluate, use.predict, use.merge, learn.run,
):  # fmt: skip
    app.command()(verb)

INTERRUPTED = 130
LATER = "interrupted; what was finished is kept, --resume goes on"


def main() -> None:
    """Runs a command: 0 done, 1 the answer is no, 2 wrong input in one message, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit status."""
    try:
        status = app(arguments, standalone_mode=False) or 0
        return _fail(LATER, INTERRUPTED) if status == INTERRUPTED else status
    except InputError as error:
        return _fail("\n".join(f"reliefseg: {offence}" for offence in error.offences), 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(f"reliefseg: {error.filename or 'output'}: the disk is full; make room and use --resume", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(LATER, INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        return _fail(f"reliefseg: {error.format_message()} (see --help)", 2)  # usage, as click words it


def _fail(message: str, status: int) -> int:
    sys.stderr.write(message + "\n")
    return status


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
