"""Pieces computed by the workers of a Ray cluster.

Pieces go to the workers as Ray tasks and come back through Ray's object store, so that only the process that asked
writes files. Workers need this package, the engine's, and the scene's image under the same path or URL; the depth of
a piece goes with it, because its raster may lie where this process alone can read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Float32

from reliefseg.depth import read_depth
from reliefseg.errors import InputError, first_line
from reliefseg.hardware import use_processor
from reliefseg.inference.computing import Compute, Computed
from reliefseg.inference.kit import Kit
from reliefseg.inference.plan import Piece
from reliefseg.inference.sampling import read_window
from reliefseg.inference.source import FileSource, Pixels
from reliefseg.raster import Window
from reliefseg.raster.opening import is_remote

RETRIES = 10
"""How often a piece is given to another worker when the one that had it is lost."""
AHEAD = 2
"""Pieces asked for at once, for each that the cluster can compute at once: no worker waits for this process."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Joins a Ray cluster (`auto`: this machine's; `local`: started here), for as long as the context lasts."""
    if find_spec("ray") is None:
        raise InputError(f"--ray {address}: Ray is not installed here; pip install 'reliefseg[ray]'")
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--ray {address}: no Ray cluster answers there ({first_line(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


class RayJob:
    """A scene computed by the cluster this process is connected to; one task computes one piece."""

    def __init__(self, kit: Kit):
        import ray

        on_gpus = kit.maker.device.type == "cuda"
        needs = {"num_gpus": 1} if on_gpus else {"num_cpus": 1}
        self.workers = AHEAD * max(1, int(ray.cluster_resources().get("GPU" if on_gpus else "CPU", 1)))
        self._task = ray.remote(max_retries=RETRIES, **needs)(_compute)
        self._plan, self._depth = kit.plan, kit.source.depth
        self._kit = ray.put(kit._replace(source=as_sent(kit.source)))

    @contextmanager
    def begun(self, helpers: Executor) -> Iterator[Compute]:
        """See `Computing`; the cluster is the helper."""
        yield self._computed

    def _computed(self, piece: Piece) -> Computed:
        import ray

        depth = None if self._depth is None else read_depth(self._depth, read_window(self._plan, piece))
        try:
            return Computed(*ray.get(self._task.remote([self._kit], piece.number, depth)))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise InputError(
                f"piece {piece.number} came back from no Ray worker ({first_line(error)}); what is finished is kept"
            ) from error


def as_sent(source: FileSource) -> FileSource:
    """The source for workers: without depth, and with an image that is found from whatever folder they run in."""
    scene = source.scene
    image = scene.image if is_remote(scene.image) else scene.image.absolute()
    return replace(source, scene=replace(scene, files=replace(scene.files, image=image)), depth=None)


@contextmanager
def on_cluster(kit: Kit) -> Iterator[RayJob]:
    """The kit's pieces computed by the cluster."""
    yield RayJob(kit)


def _compute(kit: list[Any], number: int, depth: Float32[np.ndarray, "h w"] | None) -> Computed:
    """A Ray task: one piece, and the depth of what it reads. The kit is a reference in a list, which Ray leaves."""
    loaded = _Loaded.of(kit[0])

    def read(window: Window) -> Pixels:
        return loaded.read(window)._replace(depth=depth)

    return loaded.job.compute(loaded.job.plan.pieces[number], read)


class _Loaded:
    """What a worker has ready for a scene. The source stays open: neighbouring pieces find its blocks decoded."""

    def __init__(self, kit: Kit):
        use_processor(threads=1)
        self.job = kit.job(kit.source)
        self._files = ExitStack()
        self.read = self._files.enter_context(kit.source.opened())

    @staticmethod
    @lru_cache(maxsize=1)
    def of(reference: Any) -> _Loaded:
        """Made once a worker and scene."""
        import ray

        return _Loaded(ray.get(reference))
