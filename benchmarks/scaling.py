# SPDX-License-Identifier: BSD-3-Clause
"""Training as samples, genes and processes grow, from memory and from disk.

    python benchmarks/scaling.py [--quick] [--part PART]

Simulated cohorts. Seconds of an epoch are those between the reports of the first and the last but one, so
that neither the start nor the last look counts: the processor's where one process is compared with itself,
those of the clock where reading ahead or a second process is what counts (let the machine be idle then).
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from _figures import Figures

SAMPLES, GENES = (1_000, 10_000, 100_000), (1_000, 4_000, 16_000)
SAMPLES_QUICK, GENES_QUICK = (500, 2_000), (500, 2_000)
LATENT_DIMS = (8, 32, 128)
N_TURNS = 5
OPTIONS = {"latent_dim": 32, "n_components": 16, "seed": 0, "validation": 0.0}

# What one of several processes runs; the first one tells.
WORKER = """
import json, sys, torch
sys.path.insert(0, sys.argv[1])
from scaling import epoch_seconds
from pydgd.training.ranks import process_group
torch.set_num_threads(1)
with process_group() as ranks:
    found = epoch_seconds(None, json.loads(sys.argv[2]))
    if ranks.index == 0:
        print(json.dumps(found))
"""


def apart(function, *arguments):
    """Run in a process of its own: a child's peak of memory begins with that of the process it came from."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def write(path, n_samples, n_genes):
    """Counts of many samples, made and written some at a time."""
    import warnings

    from pydgd.data import simulate_blocks
    from pydgd.data.growing import write_parts

    warnings.simplefilter("ignore")
    write_parts(simulate_blocks(n_samples, n_genes=n_genes, block_size=999), path)


def epoch_seconds(path, shape):
    """Seconds of an epoch: the clock's and the processor's; the last losses; and the peak of memory, GiB."""
    import resource

    import torch

    import pydgd
    from pydgd.data import open_counts, simulate_blocks

    torch.set_num_threads(1)
    times = []

    def note(_report):
        times.append((time.perf_counter(), time.process_time()))

    options = {**OPTIONS, "epochs": shape["epochs"], **shape.get("options", {})}
    if path is None:
        n_samples = shape["samples"]
        # A donor has three samples, and is not cut.
        whole = n_samples + -n_samples % 3
        (cohort,) = simulate_blocks(n_samples, n_genes=shape["genes"], block_size=whole)
        model = pydgd.DGD.fit(cohort, progress=note, **options)
    elif shape.get("stream"):
        with open_counts(path) as rows:
            model = pydgd.DGD.fit(rows, progress=note, **options)
    else:
        model = pydgd.DGD.fit(pydgd.read_counts(path), progress=note, **options)
    (wall, processor), n = np.subtract(times[-2], times[0]), len(times) - 2
    return {
        "wall": wall / n,
        "processor": processor / n,
        "losses": model.history.train_nll.tolist(),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def on_ranks(n_ranks, shape):
    """The same on several processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_ranks}"]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "worker.py"
        script.write_text(WORKER)
        command += [str(script), str(Path(__file__).parent), json.dumps(shape)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def slope(sizes, seconds):
    """Of log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth(figures, quick):
    """Processor seconds of an epoch against samples and genes."""
    for what, sizes in (
        ("samples", SAMPLES_QUICK if quick else SAMPLES),
        ("genes", GENES_QUICK if quick else GENES),
    ):
        seconds = []
        for size in sizes:
            shape = {"samples": 2_000 if not quick else 500, "genes": 1_000, "epochs": 4, what: size}
            seconds.append(apart(epoch_seconds, None, shape)["processor"])
            figures.add(
                f"epoch of {shape['samples']:,} samples x {shape['genes']:,} genes, processor s", seconds[-1]
            )
        found = slope(sizes, seconds)
        figures.add(f"slope of log time over log {what}", found, "<= 1.05", found <= 1.05)


def cost(figures, quick):
    """Nanoseconds per count and epoch, a line in the latent size, and what it foretells of another shape."""
    samples, genes = (500, 1_000) if quick else (2_000, 4_000)
    per_count = {}
    for latent_dim in LATENT_DIMS:
        shape = {"samples": samples, "genes": genes, "epochs": 4, "options": {"latent_dim": latent_dim}}
        per_count[latent_dim] = apart(epoch_seconds, None, shape)["processor"] / (samples * genes) * 1e9
        figures.add(f"{latent_dim} latent dimensions: ns per count and epoch", per_count[latent_dim])
    each, fixed = np.polyfit(list(per_count), list(per_count.values()), 1)
    figures.add("  of these, whatever the latent size", float(fixed))
    figures.add("  per latent dimension", float(each))
    # A shape that was not fitted: other numbers of samples, genes and dimensions.
    shape = {"samples": 2 * samples, "genes": genes // 2, "epochs": 4, "options": {"latent_dim": 64}}
    seconds = apart(epoch_seconds, None, shape)["processor"]
    foretold = (fixed + 64 * each) * shape["samples"] * shape["genes"] / 1e9
    figures.add(
        f"epoch of {shape['samples']:,} x {shape['genes']:,} at 64: foretold / measured", foretold / seconds
    )


def disk(figures, quick):
    """Training from zarr against training from memory."""
    n_samples, n_genes = (2_000, 1_000) if quick else (100_000, 5_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.zarr"
        apart(write, path, n_samples, n_genes)
        what = f"{n_samples:,} x {n_genes:,}"
        shape = {"epochs": 4, "options": {"validation": 0.1, "validate_every": 4}}
        streamed = apart(epoch_seconds, path, {**shape, "stream": True})
        figures.add(f"{what} from zarr: peak GiB", streamed["peak"], "<= 3", streamed["peak"] <= 3)
        memory = apart(epoch_seconds, path, shape)
        figures.add(f"{what} in memory: peak GiB", memory["peak"])
        for name, found in (("from zarr", streamed), ("in memory", memory)):
            figures.add(f"{what} {name}: samples / s", 0.9 * n_samples / found["wall"])
        share = memory["wall"] / streamed["wall"]
        figures.add(f"{what}: speed from zarr / in memory", share, ">= 0.85", share >= 0.85)
        ends = streamed["losses"][-1] / memory["losses"][-1] - 1
        figures.add(f"{what}: last training loss, relative difference", ends)


def processes(figures, quick):
    """Two processes against one: the fewer counts a step has, the more does waiting for the other weigh."""
    shapes = (
        ((500, 500, 256),) if quick else ((4_000, 5_000, 256), (4_000, 16_000, 512), (8_000, 5_000, 1_024))
    )
    for samples, genes, batch_size in shapes:
        shape = {"samples": samples, "genes": genes, "epochs": 10, "options": {"batch_size": batch_size}}
        runs = [(on_ranks(1, shape), on_ranks(2, shape)) for _ in range(1 if quick else N_TURNS)]
        alone, together = runs[0]
        # By turns, for the machine's own speed moves by 5 % within minutes.
        times = float(np.median([a["wall"] for a, _ in runs]) / np.median([b["wall"] for _, b in runs]))
        must = (">= 1.7", times >= 1.7) if batch_size == shapes[0][2] else ()
        figures.add(
            f"{samples:,} x {genes:,}, {batch_size} in a step: 2 gloo processes, times as fast as 1",
            times,
            *must,
        )
        apart_by = max(abs(a / b - 1) for a, b in zip(alone["losses"], together["losses"], strict=True))
        figures.add("  their losses, largest relative difference", apart_by, "<= 1e-5", apart_by <= 1e-5)


def gpu(figures, _quick):
    """What takes one."""
    figures.add("GPU: 20,000 x 16,000, 200 epochs, bf16", "no GPU here", "<= 5 min, >= 40 % of matmul peak")


PARTS = {"processes": processes, "growth": growth, "cost": cost, "disk": disk, "gpu": gpu}


def main():
    """Share, grow, and stream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=PARTS, help="measure this part again")
    arguments = parser.parse_args()
    figures = Figures("scaling", arguments.quick)
    if arguments.part:
        figures.keep_other_parts(arguments.part)
    for part in [arguments.part] if arguments.part else PARTS:
        figures.part = part
        PARTS[part](figures, arguments.quick)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
