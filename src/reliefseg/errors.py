"""The one error that means "your input, not our code": shown as a message, without a traceback, exit status 2."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(Exception):
    """Wrong input: where, what was found, what was expected, what to do. All offences of a kind at once."""

    def __init__(self, offences: str | Iterable[str]):
        self.offences = [offences] if isinstance(offences, str) else list(offences)
        super().__init__("\n".join(self.offences))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[str]]]:
        return type(self), (self.offences,)
