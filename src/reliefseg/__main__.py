"""Where the command starts: it can be interrupted before all that it needs is loaded.

Also `python -m reliefseg`, for launchers that take a module: `torchrun --nproc-per-node 4 -m reliefseg train …`.
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Loads and runs the command line; Ctrl-C and SIGTERM while it loads end with one line and status 130."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells ask for background jobs
            signal.signal(number, _end)
    from reliefseg.cli import main as run_command

    run_command()


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted before anything had begun\n")
    os._exit(130)


if __name__ == "__main__":
    main()
