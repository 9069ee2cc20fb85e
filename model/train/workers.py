"""One process, or several under torchrun: who computes what share of a batch, and who writes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from penstock.model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """This process among `count`; `device` is the one it computes on."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def writes(self) -> bool:
        """True in the one process that writes files and prints."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's images or labels of a whole batch."""
        return batch[self.rank :: self.count]

    def replicate(self, net: nn.Module) -> nn.Module:
        """`net`, its gradients averaged over the processes."""
        if self.count == 1:
            return net
        return DistributedDataParallel(net, find_unused_parameters=True)

    def mean(self, value: float) -> float:
        """The mean of a figure over the processes."""
        if self.count == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total) / self.count


def check_device(device: str) -> None:
    """ConfigError unless torch can compute on `device`."""
    try:
        torch.zeros(1, device=device)
    except Exception as error:  # a backend that is missing raises what it likes
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ConfigError(
            f"device {device!r} cannot be used: {reason}", "cpu always can"
        ) from error


def has_bf16(device: str) -> bool:
    """Whether `device` computes in bf16; a processor that only imitates it is slower than in fp32.

    On one without AVX512-BF16 or AMX a convolution took 1.6 to 2.6 times as long.
    """
    if not device.startswith("cpu") or platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def join_workers(device: str) -> Iterator[Workers]:
    """The process group that torchrun's environment describes; without one, this process alone.

    On GPUs, process i of a machine computes on GPU i.  Raises ConfigError if torch cannot use
    `device`.
    """
    check_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers(device=device)
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Workers(rank=distributed.get_rank(), count=count, device=device)
    finally:
        distributed.destroy_process_group()
