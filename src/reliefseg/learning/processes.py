"""Several processes that learn together: who they are, starting them, ending them all when one dies.

Each has one device and draws its own share of every batch; gradients are averaged by DDP. torchrun and SLURM start them
by their own means; otherwise we start one a device here.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.multiprocessing import ProcessExitedException, get_context, start_processes
from torch.nn.parallel import DistributedDataParallel

from reliefseg.errors import InputError, is_full_disk
from reliefseg.hardware import refuse_missing_devices
from reliefseg.learning.fabric import (
    ClusterEnvironment,
    DDPStrategy,
    Fabric,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

Answer = TypeVar("Answer")
PRECISIONS = {torch.float32: "32-true", torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}
PATIENCE = timedelta(days=1)
"""How long a process waits for the others before it gives up: the first may be making depth of many scenes."""
_WORDS = signature(DistributedDataParallel).parameters
BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _WORDS else "broadcast_buffers"
"""torch's word, new or old, for sending batch norm's moments around at each step: they are the same everywhere."""
RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


@dataclass(frozen=True)
class Processes:
    """So many devices on each of so many nodes, a process each, and how they find one another."""

    devices: int
    nodes: int
    environment: ClusterEnvironment

    @property
    def count(self) -> int:
        """All processes."""
        return self.devices * self.nodes

    @property
    def to_be_started(self) -> bool:
        """Whether nobody has started them yet."""
        return self.count > 1 and not self.environment.creates_processes_externally

    @property
    def is_first(self) -> bool:
        """Whether this process (or the node that will start it) is the one that writes."""
        started = self.environment.creates_processes_externally
        return (self.environment.global_rank() if started else self.environment.node_rank()) == 0

    def fabric(self, device: torch.device, precision: torch.dtype) -> Fabric:
        """What carries device, precision and the other processes; joins them."""
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        alone: Any = {BUFFERS: False}
        together = DDPStrategy(cluster_environment=self.environment, timeout=PATIENCE, **alone)
        fabric = Fabric(
            accelerator=device.type,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=together if self.count > 1 else "auto",
            precision=PRECISIONS[precision],  # type: ignore[arg-type]
            plugins=[] if self.count > 1 else [self.environment],
        )
        fabric.launch()
        return fabric


def gather(devices: int, nodes: int, device: torch.device) -> Processes:
    """Who learns: as torchrun or SLURM say where they started this process, else so many devices and nodes.

    InputError: more devices than there are, or several nodes that do not know one another.
    """
    if TorchElasticEnvironment.detect():
        here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if device.type == "cuda":
            refuse_missing_devices(device, here)
        return _of(TorchElasticEnvironment(), here)
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise InputError("SLURM: tasks a node are not known; start with srun --ntasks-per-node=N, a task a device")
        return _of(SLURMEnvironment(), int(os.environ["SLURM_NTASKS_PER_NODE"]))
    refuse_missing_devices(device, devices)
    missing = [name for name in RENDEZVOUS if name not in os.environ]
    if nodes > 1 and missing:
        raise InputError(
            f"nodes: {nodes} wanted, but {', '.join(missing)} not set; give each node the first one's MASTER_ADDR and "
            "MASTER_PORT and its own NODE_RANK from 0, or start with torchrun or srun"
        )
    return Processes(devices, nodes, LightningEnvironment())


def _of(environment: ClusterEnvironment, here: int) -> Processes:
    return Processes(here, environment.world_size() // here, environment)


def is_first_process() -> bool:
    """Whether this process may speak: the only one, or the first of those that torchrun, SLURM or each node started."""
    if TorchElasticEnvironment.detect():
        return os.environ.get("RANK", "0") == "0"
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return os.environ.get("SLURM_PROCID", "0") == "0"
    return LightningEnvironment().node_rank() == 0


def agreed(fabric: Fabric, decide: Callable[[], Answer]) -> Answer:
    """What the first process decides, known to all; its InputError is everybody's."""
    answer: Answer | InputError | None = None
    if fabric.is_global_zero:
        try:
            answer = decide()
        except InputError as error:
            answer = error
    answer = fabric.broadcast(answer)
    if isinstance(answer, InputError):
        raise answer
    return answer  # type: ignore[return-value]


def share_of(batch: int, fabric: Fabric) -> tuple[int, int]:
    """First index and number of the tiles of a step that this process draws."""
    count = batch // fabric.world_size
    return fabric.global_rank * count, count


def over_all(here: Tensor, fabric: Fabric, how: Literal["mean", "sum", "min"]) -> Tensor:
    """This process's numbers with those of all the others; with one process they stay what they are."""
    if fabric.world_size == 1:
        return here
    together, least = here.clone(), torch.distributed.ReduceOp.MIN
    torch.distributed.all_reduce(together, op=least if how == "min" else torch.distributed.ReduceOp.SUM)
    return together / fabric.world_size if how == "mean" else together


def refuse_uneven(batches: dict[str, int], processes: Processes) -> None:
    """InputError names every batch, by its setting, that cannot be shared out evenly."""
    uneven = {name: batch for name, batch in batches.items() if batch % processes.count}
    if uneven:
        raise InputError(
            f"setting {name}: {batch} tiles a step cannot be shared by {processes.count} processes; take a multiple, "
            f"for example {-(-batch // processes.count) * processes.count}"
            for name, batch in uneven.items()
        )


def start(processes: Processes, work: Callable[..., object], *arguments: Any) -> None:
    """Runs `work(*arguments)` in one new process a device of this node and waits for them.

    When one fails or dies, the others are ended. Its InputError (or full disk) is raised here; a death is an InputError
    that says how. Whatever ends the waiting ends them too.
    """
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    failures = get_context("spawn").SimpleQueue()
    port = str(processes.environment.main_port)
    everything = (processes.devices, port, failures, work, arguments)
    children = start_processes(_child, everything, nprocs=processes.devices, join=False, start_method="spawn")
    try:
        while not children.join():
            pass
    except ProcessExitedException as error:
        if not failures.empty():
            raise failures.get() from None
        raise InputError(
            f"process {error.error_index + 1} of {processes.devices} ended by {error.signal_name or error.exit_code} "
            f"({_likely(error.signal_name)}); the others were ended; --resume goes on from the last checkpoint"
        ) from None
    finally:
        for process in children.processes:
            process.kill()
            process.join()


def _likely(signal_name: str | None) -> str:
    return "out of memory?" if signal_name == signal.SIGKILL.name else "see above"


def _child(number: int, devices: int, port: str, failures: Any, work: Callable[..., object], arguments: Any) -> None:
    """One of the processes: known to Fabric by the variables it would set itself."""
    os.environ |= {"LOCAL_RANK": str(number), "MASTER_PORT": port}
    try:
        work(*arguments)
    except (InputError, OSError) as error:
        if not isinstance(error, InputError) and not is_full_disk(error):
            raise
        failures.put(error)
        raise SystemExit(2) from None
