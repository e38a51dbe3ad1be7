# SPDX-License-Identifier: BSD-3-Clause
"""What several models of other seeds buy over one, on the N-of-one scoreboard.

    python benchmarks/ensemble.py [--quick]

Needs ``../shared``, and ``results/n_of_one.json``, whose means over seeds are those of single models.
Two ensembles of three seeds each; the first is scored, and their calls on twenty tumours are compared.
"""

import argparse
import json
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import anndata as ad
import numpy as np

import pydgd
from _figures import RESULTS, Figures
from _heldout import ROOT, SHARED
from n_of_one import TUMOURS_PER_COHORT, numbers, score, split_of_benchmark

METHOD = ROOT / "benchmarks" / "ensemble_method.py"
N_MODELS = 3


def calls(query, models):
    """Genes called in each sample at 5 %, by one or by several models."""
    tables = [pydgd.differential_expression(query, model.closest_normal(query)) for model in models]
    table = pydgd.tl.combined(tables)
    called = table[table["padj"] < 0.05]
    return called.groupby("sample", observed=True)["gene"].agg(set)


def jaccard(query, ensembles):
    """Mean over samples with a call, of consecutive ensembles."""
    found = [calls(query, models) for models in ensembles]
    shares = []
    for one, other in pairwise(found):
        for sample in query.obs_names:
            a, b = one.get(sample, set()), other.get(sample, set())
            if a | b:
                shares.append(len(a & b) / len(a | b))
    return float(np.mean(shares))


def single(name):
    """Mean over seeds of single models; NaN if it was not measured."""
    figures = json.loads((RESULTS / "n_of_one.json").read_text())["figures"]
    found = [f["value"] for f in figures if f["what"].startswith(f"{name}, mean of")]
    return found[0] if found else float("nan")


def main():
    """Train, score, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = Figures("ensemble", quick)
    train, tumours = split_of_benchmark(), ad.read_h5ad(SHARED / "data" / "tumours.h5ad")
    options = {"epochs": 2} if quick else {}
    models = [
        pydgd.DGD.fit(train, seed=seed, **options) for seed in range(N_MODELS if quick else 2 * N_MODELS)
    ]
    cohorts = np.unique(tumours.obs.cohort)[: 1 if quick else None]
    rows = [np.flatnonzero(tumours.obs.cohort == cohort)[:TUMOURS_PER_COHORT] for cohort in cohorts]
    query = tumours[np.concatenate(rows)].copy()
    figures.add("same calls, single models (Jaccard, 20 tumours)", jaccard(query, [[m] for m in models]))
    if quick:
        return figures.finish()
    halves = [models[:N_MODELS], models[N_MODELS:]]
    figures.add(f"same calls, ensembles of {N_MODELS} (Jaccard, 20 tumours)", jaccard(query, halves))
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.dgd") for i in range(N_MODELS)]
        for model, path in zip(models, paths, strict=False):
            model.save(path)
        os.environ["N_OF_ONE_ENSEMBLE"] = os.pathsep.join(paths)
        for name, value in numbers(score(METHOD)).items():
            figures.add(f"{name}: ensemble of {N_MODELS}", float(value))
            figures.add(f"{name}: single models, mean", single(name))
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
