"""Our own depth network at work: what it sees in a window of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from reliefseg.depth.bands import Photo
from reliefseg.depth.disguise import normalised
from reliefseg.depth.heights import HeightCard, HeightNetwork, load_heights, metres
from reliefseg.depth.pool import resampled
from reliefseg.hardware import pick_device, pick_precision, placed
from reliefseg.networks import folded
from reliefseg.raster import Window


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
        return cls(placed(folded(network), device), card, turns, device, reduced)

    def box(self, shrink: float) -> int:
        """Side of the window that the network sees at once, pixels of a scene that is shown `shrink` times smaller."""
        return max(2, round(self.card.window * shrink))

    def look(self, photo: Photo, window: Window) -> Float32[np.ndarray, "side side"]:
        """Metres above ground in a window of a scene, on the network's own pixels."""
        shown = self._shown(photo, window)
        looks = [torch.rot90(self._seen(torch.rot90(shown, k, (2, 3))), -k, (1, 2)) for k in range(self.turns)]
        return metres(torch.stack(looks).mean(dim=0))[0].cpu().numpy()

    def _shown(self, photo: Photo, window: Window) -> Float32[Tensor, "1 3 side side"]:
        pixels = torch.from_numpy(photo.read(window)).permute(2, 0, 1).float() / 255
        tile = resampled(pixels, self.card.window)[None]
        mean, deviation = (torch.from_numpy(v.astype(np.float32))[None] / 255 for v in (photo.mean, photo.deviation))
        return normalised(tile, mean, deviation)

    @torch.inference_mode()
    def _seen(self, shown: Float[Tensor, "1 3 side side"]) -> Float[Tensor, "1 side side"]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.reduced):
            return self.network(shown.to(self.device).contiguous(memory_format=torch.channels_last)).fused[:, 0]
