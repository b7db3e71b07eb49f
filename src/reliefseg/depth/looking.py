"""Our own depth network at work: what it sees in a window of a scene, and which gsd it takes an unknown one for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from reliefseg.depth.bands import Photo
from reliefseg.depth.disguise import normalised
from reliefseg.depth.heights import WORKING_GSD, HeightCard, HeightNetwork, Seen, load_heights, metres
from reliefseg.depth.pool import resampled
from reliefseg.hardware import pick_device, pick_precision, placed
from reliefseg.raster import Window

ZOOMS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Scene pixels a network pixel that are tried where the gsd is unknown."""
SPOTS = 3
"""Rows and columns of windows that are looked at for each of them."""


@dataclass(frozen=True)
class HeightLooker:
    """The network, ready to look. Windows are averaged over `turns` quarter turns."""

    network: HeightNetwork
    card: HeightCard
    turns: int
    device: torch.device
    reduced: bool
    """Whether it computes in bfloat16."""

    @classmethod
    def load(cls, file: Path, turns: int) -> HeightLooker:
        """From a file of weights, on the GPU where there is one."""
        network, card = load_heights(file)
        device = pick_device("auto")
        reduced = pick_precision("auto", device) == torch.bfloat16
        return cls(placed(network, device), card, turns, device, reduced)

    def box(self, gsd: float) -> int:
        """Side of the window of a scene of this gsd that the network sees at once, pixels of the scene."""
        return max(2, round(self.card.window * WORKING_GSD / gsd))

    def look(self, photo: Photo, window: Window) -> Float32[np.ndarray, "side side"]:
        """Metres above ground in a window of a scene, on the network's own pixels."""
        shown = self._shown(photo, window)
        looks = [torch.rot90(self._seen(torch.rot90(shown, k, (2, 3))).fused, -k, (1, 2)) for k in range(self.turns)]
        return metres(torch.stack(looks).mean(dim=0))[0].cpu().numpy()

    def guess_gsd(self, photo: Photo) -> float:
        """Metres a pixel that the scene seems to have: the network looks at it zoomed out further and further.

        Each time it says which gsd it believes to see; it is taken at its word where that is nearest the working
        gsd, which it knows best.
        """
        believed = [(zoom, self._believed(photo, zoom)) for zoom in ZOOMS if self._fits(photo, zoom)]
        zoom, log_gsd = min(believed, key=lambda pair: abs(pair[1]))
        return WORKING_GSD * float(np.exp(log_gsd)) / zoom

    def _fits(self, photo: Photo, zoom: float) -> bool:
        grid = photo.scene.grid
        return zoom <= 1 or self.card.window * zoom <= max(grid.height, grid.width)

    def _believed(self, photo: Photo, zoom: float) -> float:
        side = round(self.card.window * zoom)
        shown = [self._shown(photo, window) for window in _spots(photo, side)]
        return float(np.median([self._seen(one).log_gsd.item() for one in shown]))

    def _shown(self, photo: Photo, window: Window) -> Float32[Tensor, "1 3 side side"]:
        pixels = torch.from_numpy(photo.read(window)).permute(2, 0, 1).float() / 255
        tile = resampled(pixels, self.card.window)[None]
        mean, deviation = (torch.from_numpy(v.astype(np.float32))[None] / 255 for v in (photo.mean, photo.deviation))
        return normalised(tile, mean, deviation)

    @torch.inference_mode()
    def _seen(self, shown: Float[Tensor, "1 3 side side"]) -> Seen:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.reduced):
            return self.network(shown.to(self.device).contiguous(memory_format=torch.channels_last))


def _spots(photo: Photo, side: int) -> Iterator[Window]:
    """Windows spread evenly over a scene."""
    grid = photo.scene.grid
    for down in np.linspace(0, max(0, grid.height - side), SPOTS).astype(int):
        for along in np.linspace(0, max(0, grid.width - side), SPOTS).astype(int):
            yield Window(int(down), int(along), side, side)
