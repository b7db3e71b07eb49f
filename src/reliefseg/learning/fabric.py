"""Lightning Fabric, loaded without torchmetrics.

Fabric asks for the version of torchmetrics by importing it where it is installed, and with it come scipy.signal and
transformers: seconds at the start of every process, for an answer that nothing here needs.
"""

from __future__ import annotations

import sys

_hidden = "torchmetrics" not in sys.modules
if _hidden:
    sys.modules["torchmetrics"] = None  # type: ignore[assignment]
try:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import (
        ClusterEnvironment,
        LightningEnvironment,
        SLURMEnvironment,
        TorchElasticEnvironment,
    )
    from lightning_fabric.strategies import DDPStrategy
finally:
    if _hidden:
        del sys.modules["torchmetrics"]

__all__ = [
    "ClusterEnvironment",
    "DDPStrategy",
    "Fabric",
    "LightningEnvironment",
    "SLURMEnvironment",
    "TorchElasticEnvironment",
]
