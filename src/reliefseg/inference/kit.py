"""All it takes to compute a scene's pieces, wherever that is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from reliefseg.inference.choosing import EngineMaker
from reliefseg.inference.computing import Job
from reliefseg.inference.layout import Layout
from reliefseg.inference.plan import Plan
from reliefseg.inference.source import FileSource, Source


class Kit(NamedTuple):
    """The model, the name of the engine to make of it, and the scene: small enough to be sent to other machines."""

    maker: EngineMaker
    engine: str
    plan: Plan
    source: FileSource
    layout: Layout

    def job(self, source: Source) -> Job:
        """A job on one machine, which reads `source`."""
        return Job(self.plan, source, self.maker.open(self.engine), self.maker.spec.normalisation)

    @contextmanager
    def here(self) -> Iterator[Job]:
        """A job for threads of this process."""
        with self.layout.reading(self.source, self.plan) as source:
            yield self.job(source)
