"""The command line: reads arguments, calls one function of `workflow`, prints."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType

import typer

from reliefseg.cli import data, depth, figures, learn, use
from reliefseg.cli.common import Interrupted
from reliefseg.errors import InputError, is_full_disk

app = typer.Typer(
    name="reliefseg",
    help="Segmentation of aerial and drone orthophotos from very few labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    learn.demo, data.init, data.generate, data.check,
    learn.pretrain, learn.train, use.evaluate, use.quantise, use.predict, use.merge, learn.run,
    figures.ablate,
):  # fmt: skip
    app.command()(verb)
app.add_typer(depth.app, name="depth")

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TWICE = (
    "interrupted twice, ended at once; what was finished is kept, a run that had begun to learn goes on with --resume\n"
)
AGAIN = "interrupted; what was finished is kept, the same command goes on"


def main() -> None:
    """Runs a command: 0 done, 1 the answer is no, 2 wrong input in one message, 130 interrupted."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells ask for background jobs
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and classes may hold what it cannot write
    status = run(sys.argv[1:])
    if status == INTERRUPTED:
        sys.stderr.flush()
        os._exit(status)  # all is tidied up; a second Ctrl-C would find Python without handlers on its way out
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit status."""
    try:
        status = app(arguments, standalone_mode=False) or 0
        return _fail(AGAIN, INTERRUPTED) if status == INTERRUPTED else status
    except Interrupted as interruption:
        return _fail(str(interruption), INTERRUPTED)
    except InputError as error:
        return _fail("\n".join(f"reliefseg: {offence}" for offence in error.offences), 2)
    except OSError as error:
        if not is_full_disk(error):
            raise
        place = error.filename or "output"
        return _fail(f"reliefseg: {place}: the disk is full; make room and go on (--resume, or the same command)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(AGAIN, INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        return _fail(f"reliefseg: {error.format_message()} (see --help)", 2)  # usage, as click words it


def _fail(message: str, status: int) -> int:
    sys.stderr.write(message + "\n")  # of several processes each: it may lack what the others have
    return status


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends in order; asked again meanwhile, at once: whole files alone have their final names."""
    for other in SIGNALS:
        signal.signal(other, _end_at_once)
    raise KeyboardInterrupt


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(sys.stderr.fileno(), TWICE.encode())
    os._exit(INTERRUPTED)
