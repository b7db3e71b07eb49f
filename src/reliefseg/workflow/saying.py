"""How workflow functions tell what they are doing; the command line draws it, notebooks may stay silent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

Tick = Callable[[int, int], None]
"""Told (done, of) as work goes on."""


@runtime_checkable
class Sayer(Protocol):
    """Somebody who passes on notes and progress."""

    def note(self, text: str) -> None:
        """One line worth reading."""

    def progress(self, title: str) -> AbstractContextManager[Tick]:
        """A bar with time left, for as long as the context lasts."""


class Silent:
    """Says nothing."""

    def note(self, text: str) -> None:
        """Drops the line."""

    def progress(self, title: str) -> AbstractContextManager[Tick]:
        """Draws nothing."""
        return nullcontext(lambda done, of: None)


SILENT = Silent()


def in_words(seconds: float) -> str:
    """A duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
