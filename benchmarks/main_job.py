# SPDX-License-Identifier: BSD-3-Clause
"""The main job, end to end: train, closest normal, differential expression, and the demo from a fresh clone.

    python benchmarks/main_job.py [--quick]

Needs ``../shared``. The full run clones the repository into a temporary folder and installs it there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch

import pydgd
from _figures import Figures
from _heldout import ROOT, SHARED, score
from pydgd.core.outputmodules import OutputModuleNBFeatureDispersion, OutputModulePoisson
from pydgd.data import as_counts

PYDGD = Path(sys.executable).with_name("pydgd")


def run(*command, cwd=None):
    """Wall time in s and peak memory in GiB of a command that must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(c) for c in command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def startup(*command):
    """Best of five wall times of a command."""
    return min(run(*command)[0] for _ in range(5))


def prepare(folder, *, quick):
    """Paths of normals and tumours; in the quick run a corner of them."""
    normals, tumours = SHARED / "data" / "normals.h5ad", SHARED / "data" / "tumours.h5ad"
    if not quick:
        return normals, tumours
    rng = np.random.default_rng(0)
    small = []
    for path, n in ((normals, 300), (tumours, 20)):
        adata = ad.read_h5ad(path)
        rows = np.sort(rng.permutation(adata.n_obs)[:n])
        adata[rows, :5000].copy().write_h5ad(folder / path.name)
        small.append(folder / path.name)
    return tuple(small)


def held_out_nll(model_path, normals):
    """NLL per count of held-out normals at the MAP z, and of genes that z did not see."""
    adata = pydgd.read_counts(normals)
    return score(pydgd.DGD.load(model_path), as_counts(adata[adata.obs["split"] == "test_heldout"].copy()))


def parity():
    """Largest errors against the peer where m/(r+m) >= 1e-5: NB per max(1, abs), Poisson relative."""
    reference = json.loads((SHARED / "peer/artifacts/reference/reference_values.json").read_text())
    nb, poisson = reference["nb_logpmf"], reference["poisson_logpmf"]
    k, m, r = (torch.tensor(nb[name], dtype=torch.float64) for name in ("k", "m", "r"))
    k, m, r = torch.meshgrid(k, m, r, indexing="ij")
    value = torch.tensor(nb["value"], dtype=torch.float64)
    ours = OutputModuleNBFeatureDispersion.log_prob_mass(k, m, r)
    clear = (m / (r + m) >= 1e-5) & value.isfinite()
    nb_error = ((ours - value).abs() / value.abs().clamp_min(1))[clear].max()
    k, m = (torch.tensor(poisson[name], dtype=torch.float64) for name in ("k", "m"))
    k, m = torch.meshgrid(k, m, indexing="ij")
    value = torch.tensor(poisson["value"], dtype=torch.float64)
    ours = OutputModulePoisson.log_prob_mass(k, m)
    poisson_error = ((ours - value).abs() / value.abs())[m >= 1e-5].max()
    return float(nb_error), float(poisson_error)


def fresh_clone(folder):
    """Time of `make demo` in a new clone, installation included, and time and memory of the demo alone."""
    clone = folder / "clone"
    run("git", "clone", "--quiet", ROOT, clone)
    whole, _ = run("make", "demo", cwd=clone)
    demo, memory = run(clone / ".venv/bin/pydgd", "demo", cwd=clone)
    return whole, demo, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = Figures("main_job", quick)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        normals, tumours = prepare(folder, quick=quick)
        model, normal, table = folder / "normals.dgd", folder / "normal.h5ad", folder / "de.parquet"
        size = " (300 normals, 20 tumours, 5,000 genes)" if quick else ""

        seconds, memory = run(PYDGD, "train", normals, "--where", "split=train", "--seed", "0", "-o", model)
        genes = len(pydgd.DGD.load(model).genes)
        figures.add(f"pydgd train, wall s, {genes:,} genes{size}", seconds, "<= 90", seconds <= 90)
        figures.add(f"pydgd train, peak GiB{size}", memory)

        seen, unseen = held_out_nll(model, normals)
        figures.add(
            f"NLL per count on test_heldout at the MAP z{size}",
            seen,
            "<= 5.75",
            None if quick else seen <= 5.75,
        )
        figures.add(f"the same, z from half of the genes, scored on the other half{size}", unseen, "reported")

        first = run(PYDGD, "closest-normal", model, tumours, "-o", normal)
        second = run(PYDGD, "de", model, tumours, "-o", table)
        n_rows = len(pd.read_parquet(table, columns=["pvalue"]))
        seconds, memory = first[0] + second[0], max(first[1], second[1])
        figures.add(f"closest-normal + de, wall s, {n_rows:,} tests{size}", seconds, "<= 60", seconds <= 60)
        figures.add(f"closest-normal + de, peak GiB{size}", memory, "<= 4", memory <= 4)

        nb_error, poisson_error = parity()
        figures.add(
            "NB against the peer's reference, error / max(1, abs)", nb_error, "<= 2e-3", nb_error <= 2e-3
        )
        figures.add(
            "Poisson against the peer's reference, relative", poisson_error, "<= 1e-5", poisson_error <= 1e-5
        )

        seconds = startup(sys.executable, "-c", "import pydgd")
        figures.add("import pydgd, s", seconds, "<= 0.5", seconds <= 0.5)
        seconds = startup(PYDGD, "--help")
        figures.add("pydgd --help, s", seconds, "<= 0.5", seconds <= 0.5)

        if not quick:
            whole, demo, memory = fresh_clone(folder)
            figures.add("fresh clone: make demo with installation, s", whole, "<= 360", whole <= 360)
            figures.add("pydgd demo, s", demo, "<= 90", demo <= 90)
            figures.add("pydgd demo, peak GiB", memory, "<= 4", memory <= 4)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
