# SPDX-License-Identifier: BSD-3-Clause
"""Training on a CUDA GPU: seconds of a run of the peer's decoder, and how busy its head keeps the GPU.

    python benchmarks/gpu.py [--quick]

20,000 simulated samples of 16,000 genes, 200 epochs, hidden layers of 500 and 8,000 units (those of bulkdgd's
published model), in bfloat16. What comes after training, calibration on the processor, is not in the time.
"""

import argparse
import sys
import time

import torch
from torch.nn.functional import linear

from _figures import Figures

SHAPE = {"n_samples": 20_000, "n_genes": 16_000, "epochs": 200}
SHAPE_QUICK = {"n_samples": 2_000, "n_genes": 4_000, "epochs": 5}
HIDDEN, BATCH = (500, 8_000), 1_024
SECONDS, SHARE = 300.0, 0.4
SQUARE = 8_192  # of the matrices whose product is the peak


def counts_of(n_samples, n_genes):
    """Reads and scaling factors, made some samples at a time."""
    import numpy as np

    from pydgd.data import simulate_blocks

    blocks = simulate_blocks(n_samples, n_genes=n_genes, block_size=999)
    counts = np.concatenate([np.asarray(block.X, dtype=np.float32) for block in blocks])
    return counts, counts.mean(axis=1)


def trained(shape, precision):
    """A run and its seconds."""
    from pydgd.config import training_config
    from pydgd.training import Hardware, fit

    counts, factors = counts_of(shape["n_samples"], shape["n_genes"])
    held_out, options = len(counts) - min(256, len(counts) // 10), {"n_units_hidden_layers": HIDDEN}
    config = training_config(epochs=shape["epochs"], batch_size=BATCH, validate_every=20, **options)
    start = time.perf_counter()
    result = fit(
        counts[:held_out],
        factors[:held_out],
        genes=[f"g{i}" for i in range(counts.shape[1])],
        profile=counts.mean(axis=0),
        config=config,
        held_out=(counts[held_out:], factors[held_out:]),
        hardware=Hardware.chosen("cuda", precision),
    )
    return result, time.perf_counter() - start


def seconds_of(work, n_repeats=20):
    """Of one call on the GPU, once it is warm."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(n_repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / n_repeats


def share_of_peak(n_genes):
    """Floating-point operations of the head, forward and back, against those of a large square product."""
    options = {"device": "cuda", "dtype": torch.bfloat16}
    a, b = torch.randn(SQUARE, SQUARE, **options), torch.randn(SQUARE, SQUARE, **options)
    peak = 2 * SQUARE**3 / seconds_of(lambda: a @ b)
    x = torch.randn(BATCH, HIDDEN[-1], device="cuda", requires_grad=True)
    weight = torch.randn(n_genes, HIDDEN[-1], device="cuda", requires_grad=True)
    slope = torch.randn(BATCH, n_genes, **options)

    def head():
        with torch.autocast("cuda", dtype=torch.bfloat16):
            projection = linear(x, weight)
        torch.autograd.grad(projection, (x, weight), slope)

    return 6 * BATCH * HIDDEN[-1] * n_genes / seconds_of(head) / peak, peak


def main(quick: bool) -> int:
    """Measure; the exit code is 1 where a must is missed, 2 where there is no GPU."""
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA GPU, and torch finds none here", file=sys.stderr)
        return 2
    figures, shape = Figures("gpu", quick=quick), SHAPE_QUICK if quick else SHAPE
    figures.add("GPU", torch.cuda.get_device_name())
    share, peak = share_of_peak(shape["n_genes"])
    figures.add("peak of a square product in bfloat16, TFLOP/s", peak / 1e12)
    figures.add(
        "share of it in the head, forward and back", share, f">= {SHARE}", None if quick else share >= SHARE
    )
    result, seconds = trained(shape, "bf16")
    steps = float(result.history["seconds"].iloc[-1])
    figures.add(
        "seconds of training, its start included", seconds, f"<= {SECONDS:.0f}", quick or seconds <= SECONDS
    )
    figures.add("of these in the epochs", steps)
    figures.add("samples per second in the epochs", shape["n_samples"] * len(result.history) / steps)
    figures.add("held-out nats per count", float(result.history["validation_nll"].dropna().iloc[-1]))
    figures.add("peak of the GPU's memory, GiB", torch.cuda.max_memory_allocated() / 2**30)
    return figures.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    sys.exit(main(parser.parse_args().quick))
