# SPDX-License-Identifier: BSD-3-Clause
"""Where the steps of a training are computed, and in which precision."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pydgd.core.decoder import Decoder
from pydgd.core.model import JointModel
from pydgd.core.outputbase import Outputs
from pydgd.errors import ConfigError
from pydgd.training.counts import Batch

PROCESSOR = torch.device("cpu")
PRECISIONS = ("32", "tf32", "bf16")
"""What matrix products of the decoder are computed in; likelihood, parameters and optimisers never are."""
# Of the first NVIDIA GPUs whose matrix units know both.
_TENSOR_CORES = (8, 0)


@dataclass(frozen=True)
class Hardware:
    """What computes the steps of a training; the processor in full precision by default.

    Attributes:
        device: Has the decoder's linear layers.
        exact: Has all else. Likelihood and mixture need float64: where `device` lacks it, the processor.
        precision: One of `PRECISIONS`.

    Example:
        >>> Hardware.chosen("cpu", "32") == Hardware()
        True
    """

    device: torch.device = PROCESSOR
    exact: torch.device = PROCESSOR
    precision: str = "32"

    @classmethod
    def chosen(cls, device: str = "auto", precision: str = "32") -> "Hardware":
        """What a user asks for.

        Args:
            device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for a CUDA GPU where there is one, else the
                processor.
            precision: One of `PRECISIONS`.

        Raises:
            ConfigError: If a name is unknown, there is no such device, or it does not compute so.
        """
        if device not in ("auto", *_FOUND):
            raise ConfigError(f"device must be one of auto, {', '.join(_FOUND)}, got {device!r}")
        if precision not in PRECISIONS:
            raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return _FOUND[device](precision)

    @property
    def note(self) -> dict[str, dict[str, str]]:
        """For the model's provenance: nothing of the processor in full precision."""
        told = {"device": self.device.type, "precision": self.precision}
        return {} if self == Hardware() else {"trained_with": told}

    def place(self, model: JointModel, representations: nn.Module) -> None:
        """Move what is trained to where it is computed.

        Args:
            model: Changed in place.
            representations: Likewise.
        """
        representations.to(self.exact)
        model.to(self.exact)
        for layer in model.decoder.modules():
            if isinstance(layer, nn.Linear):
                layer.to(self.device)

    def decode(self, decoder: Decoder, z: Tensor) -> Outputs:
        """What the decoder gives for `z`, where likelihoods are computed."""
        with self._rounded():
            outputs: Outputs = decoder(z.to(self.device))
        if isinstance(outputs, Tensor):
            return outputs.to(self.exact)
        means, log_r = outputs
        return means.to(self.exact), log_r.to(self.exact)

    def _rounded(self) -> AbstractContextManager[object]:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    @contextmanager
    def products(self) -> Iterator[None]:
        """Have float32 products on a GPU computed in the precision asked for, forward and back."""
        if self.device.type != "cuda":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Torch's layers draw first weights and dropout from global generators: set them, put them back.

        Args:
            seed: Of both, that of the processor and that of the GPU.
        """
        on_gpu = self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if on_gpu else []):
            torch.default_generator.manual_seed(seed)
            if on_gpu:
                with torch.cuda.device(self.device):
                    torch.cuda.manual_seed(seed)
            yield

    def sent(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Batches where likelihoods are computed, each sent while the one before is trained on.

        Args:
            batches: In the processor's memory.
        """
        if self.exact == PROCESSOR:
            yield from batches
            return
        lane = _lane(self.exact)
        with ThreadPoolExecutor(1) as sender:
            coming = sender.submit(self._next, batches, lane)
            while (batch := coming.result()) is not None:
                _wait_for(lane, batch)
                coming = sender.submit(self._next, batches, lane)
                yield batch

    def _next(self, batches: Iterator[Batch], lane: "torch.cuda.Stream | None") -> Batch | None:
        """The next batch on its way, out of memory that the GPU can read by itself."""
        batch = next(batches, None)
        if batch is None:
            return None
        with torch.cuda.stream(lane):  # without one, nothing
            rows, counts, scaling_factors, log_factorial = map(self._on_its_way, batch[:-1])
            return Batch(rows, counts, scaling_factors, log_factorial, batch.n_samples)

    def _on_its_way(self, part: Tensor) -> Tensor:
        ready = part.pin_memory() if self.exact.type == "cuda" else part
        return ready.to(self.exact, non_blocking=True)


def _lane(device: torch.device) -> "torch.cuda.Stream | None":
    """A queue of copies beside that of the steps; None where copies are not queued."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's


def _wait_for(lane: "torch.cuda.Stream | None", batch: Batch) -> None:
    """Have the GPU's work wait for a batch, whose memory is not used anew before that work is done."""
    if lane is None:
        return
    now = torch.cuda.current_stream(lane.device)
    now.wait_stream(lane)
    for part in batch[:-1]:
        part.record_stream(now)


def _processor(precision: str) -> Hardware:
    if precision == "tf32":
        raise ConfigError("precision tf32 is one of NVIDIA's GPUs; on device cpu take 32 or bf16")
    return Hardware(precision=precision)


def _cuda(precision: str) -> Hardware:
    if not torch.cuda.is_available():
        raise ConfigError(
            f"device cuda: torch {torch.__version__} finds no CUDA GPU here; take device cpu, or install the "
            "NVIDIA driver and a torch that was built for CUDA"
        )
    here, n_gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if here >= n_gpus:
        raise ConfigError(
            f"device cuda: each process needs a GPU of its own, and this machine has {n_gpus}; start as many "
            "processes, or take device cpu"
        )
    device = torch.device("cuda", here)
    if precision != "32" and torch.cuda.get_device_capability(device) < _TENSOR_CORES:
        raise ConfigError(
            f"precision {precision} needs a GPU of compute capability 8.0 (Ampere) or newer, this is "
            f"{torch.cuda.get_device_name(device)}; take precision 32"
        )
    # Sums over processes go by the current GPU of each.
    torch.cuda.set_device(device)
    return Hardware(device, device, precision)


def _mps(precision: str) -> Hardware:
    if not torch.backends.mps.is_available():
        raise ConfigError("device mps: there is no Apple GPU here that torch can use; take device cpu")
    if precision != "32":
        raise ConfigError(f"device mps computes in precision 32, got {precision!r}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("device mps: several processes train together on cpu or cuda only; take device cpu")
    return Hardware(torch.device("mps"), PROCESSOR, precision)


_FOUND: dict[str, Callable[[str], Hardware]] = {"cpu": _processor, "cuda": _cuda, "mps": _mps}
