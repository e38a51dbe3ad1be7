# SPDX-License-Identifier: BSD-3-Clause
"""Memory and time of closest normals and differential expression as the number of samples grows.

    python benchmarks/streaming.py [--quick]

Simulated cohorts of 15,000 genes, one after the other through the command line: `pydgd closest-normal`, then
`pydgd de --normal … --only 'padj<0.1'`. Memory is the largest resident set of each process. Time is the
processor's, so that other programs on the machine do not count; wall time is reported beside it.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from _figures import Figures

PYDGD = Path(sys.executable).with_name("pydgd")
N_GENES, LATENT_DIM = 15_000, 64
N_TRAINING, N_TRAINING_QUICK = 480, 120
FULL, QUICK = (100, 1_000, 10_000), (20, 60)
# Blocks of another size than the cohort's are other samples of the same population.
BLOCK = 60


def apart(function, *arguments):
    """Run in a process of its own: a child's peak of memory begins with that of the process it came from."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def train(path, n_samples):
    from pydgd import DGD
    from pydgd.data import simulate_blocks

    (cohort,) = simulate_blocks(n_samples, n_genes=N_GENES, block_size=n_samples)
    model = DGD.fit(cohort, latent_dim=LATENT_DIM, epochs=5, seed=0)
    model.save(path)
    return len(model.genes)


def write_query(path, n_samples):
    from pydgd.data import simulate_blocks
    from pydgd.data.growing import write_parts

    write_parts(simulate_blocks(n_samples, n_genes=N_GENES, block_size=BLOCK), path)


def same_as_in_memory(model_path, query_path, table_path):
    """Whether the streamed table is to the bit that of all samples at once."""
    import pandas as pd

    import pydgd

    query = pydgd.read_counts(query_path)
    table = pydgd.differential_expression(query, pydgd.DGD.load(model_path).closest_normal(query))
    return pd.read_parquet(table_path).equals(table)


def n_rows(table_path):
    from pyarrow import parquet

    return parquet.read_metadata(table_path).num_rows


def run(*command):
    """Wall time and processor time in s, and the peak of memory in GiB, of a command that must succeed."""
    start = perf_counter()
    process = subprocess.Popen(
        [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output}")
    return perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def measure(figures, folder, model, n_samples):
    """Processor time of both commands together."""
    query, normal, table = (folder / name for name in ("query.h5ad", "normal.h5ad", "de.parquet"))
    apart(write_query, query, n_samples)
    steps = {
        "closest-normal": ("closest-normal", model, query, "-o", normal),
        "de --normal --only 'padj<0.1'": (
            "de", model, query, "--normal", normal, "--only", "padj<0.1", "-o", table,
        ),
    }  # fmt: skip
    total = 0.0
    for name, arguments in steps.items():
        wall, processor, memory = run(PYDGD, *arguments)
        what = f"{n_samples:,} samples, {name}"
        figures.add(f"{what}: peak GiB", memory, "<= 4", memory <= 4)
        figures.add(f"{what}: processor s", processor)
        figures.add(f"{what}: wall s", wall)
        total += processor
    figures.add(f"{n_samples:,} samples: rows with padj < 0.1", f"{apart(n_rows, table):,}")
    figures.add(f"{n_samples:,} samples: normal.h5ad, GB", normal.stat().st_size / 1e9)
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = Figures("streaming", quick)
    sizes = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), Path(name) / "model.dgd"
        n_genes = apart(train, model, N_TRAINING_QUICK if quick else N_TRAINING)
        figures.add("genes of the model", f"{n_genes:,}")
        times = []
        for n_samples in sizes:
            times.append(measure(figures, folder, model, n_samples))
            if n_samples == sizes[0]:
                whole = folder / "whole.parquet"
                run(
                    PYDGD, "de", model, folder / "query.h5ad", "--normal", folder / "normal.h5ad", "-o", whole
                )
                same = apart(same_as_in_memory, model, folder / "query.h5ad", whole)
                figures.add(
                    f"{n_samples:,} samples, all rows: to the bit as in memory", str(same), "True", same
                )
            if n_samples == sizes[1]:
                whole = ("de", model, folder / "query.h5ad", "--normal", folder / "normal.h5ad")
                wall, _, memory = run(PYDGD, *whole, "--float32", "-o", folder / "whole.parquet")
                what = f"{n_samples:,} samples, de --normal --float32, all rows"
                figures.add(f"{what}: peak GiB", memory, "<= 4", memory <= 4)
                figures.add(f"{what}: wall s", wall)
                figures.add(f"{what}: GB", (folder / "whole.parquet").stat().st_size / 1e9)
                (folder / "whole.parquet").unlink()
    slopes = [(late - early) / (n - m) for (m, early), (n, late) in pairwise(zip(sizes, times, strict=True))]
    for (m, n), slope in zip(pairwise(sizes), slopes, strict=True):
        figures.add(f"processor s per further sample, from {m:,} to {n:,}", slope)
    if not quick:
        ratio = slopes[1] / slopes[0]
        figures.add("the second over the first: linear in samples", ratio, "<= 1.2", ratio <= 1.2)
        share = (times[2] / sizes[2]) / (times[1] / sizes[1])
        figures.add("processor s per sample, 10,000 over 1,000", share, "<= 1.2", share <= 1.2)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
