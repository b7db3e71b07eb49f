"""The one error that means "your input, not our code": shown as a message, without a traceback, exit status 2."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def first_line(error: BaseException) -> str:
    """What another library's error says, in a line; its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class InputError(Exception):
    """Wrong input: where, what was found, what was expected, what to do. All offences of a kind at once."""

    def __init__(self, offences: str | Iterable[str]):
        self.offences = [offences] if isinstance(offences, str) else list(offences)
        super().__init__("\n".join(self.offences))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[str]]]:
        return type(self), (self.offences,)


def each(items: Iterable[Item], work: Callable[[Item], Done]) -> tuple[list[Done], list[str]]:
    """What could be done of all, and the offences of the rest."""
    done, offences = [], []
    for item in items:
        try:
            done.append(work(item))
        except InputError as error:
            offences += error.offences
    return done, offences


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no room left, on the disk or in the user's share of it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
