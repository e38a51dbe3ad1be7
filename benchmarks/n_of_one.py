# SPDX-License-Identifier: BSD-3-Clause
"""The N-of-one scoreboard: one tumour or patient, no controls, against baselines and between seeds.

    python benchmarks/n_of_one.py [--seeds 5] [--quick]

Needs ``../shared``. Every seed is a full run of the shared benchmark, held-out donors and four cohorts
included; its docstring says what is measured. Agreement between seeds is that of their models' calls at 5 %
on twenty tumours, and of their ln r. The quick run is a development split, few queries and ten epochs: it
tells only that the run works.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import anndata as ad
import numpy as np
from scipy.stats import spearmanr

import pydgd
from _figures import Figures
from _heldout import ROOT, SHARED

BENCH = SHARED / "bench"
METHOD = ROOT / "benchmarks" / "n_of_one_method.py"
TUMOURS_PER_COHORT = 5
OTHER_TENTHS = (1, 2)


def score(method, *, seed=0, keep=None, quick=False):
    """All scores of one method, as the shared benchmark has them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "scores.json"
        command = [sys.executable, BENCH / "n_of_one.py", method, "--seed", seed, "--json", out]
        command += ["--dev", "--quick"] if quick else []
        environment = {**os.environ, **({} if keep is None else {"N_OF_ONE_MODEL": str(keep)})}
        environment |= {"N_OF_ONE_EPOCHS": "10"} if quick else {}
        subprocess.run([str(part) for part in command], check=True, env=environment)
        return json.loads(out.read_text())


def numbers(scores):
    """The figures of one run that something is asked of."""
    planted = {name: row for name, row in scores["planted"].items() if name != "mean"}
    null = scores["null"]
    return {
        "tumours AP": scores["tumours"]["mean"]["AP"],
        **{f"tumours AP, {name}": row["AP"] for name, row in scores["tumours"].items() if name != "mean"},
        "planted AP": scores["planted"]["mean"]["AP"],
        "planted recall at 5 %": scores["planted"]["mean"]["recall"],
        "planted recall at 5 %, 1 % x4": planted["1% x4"]["recall"],
        "planted FDP at 5 %": scores["planted"]["mean"]["FDP"],
        "planted FDP at 5 %, worst setting": max(row["FDP"] for row in planted.values()),
        **{f"null size/alpha at {a}, bright": bright for a, bright in null["size/alpha"].items()},
        **{f"null size/alpha at {a}, dim": dim for a, dim in null["size/alpha, dim genes"].items()},
        "calls per healthy sample": null["calls at BH 5%"]["mean"],
        "up:down at 1e-3 on healthy samples": null["up:down at 1e-3"],
    }


MUSTS = {
    "tumours AP": (0.40, None),
    "planted AP": (0.75, None),
    "planted recall at 5 %": (0.36, None),
    "planted recall at 5 %, 1 % x4": (0.45, None),
    "planted FDP at 5 %": (None, 0.05),
    "planted FDP at 5 %, worst setting": (None, 0.07),
    "null size/alpha at 0.05, bright": (0.9, 1.1),
    "null size/alpha at 0.001, bright": (0.8, 1.25),
    "null size/alpha at 1e-05, bright": (0.4, 2.5),
    "null size/alpha at 0.05, dim": (None, 1.1),
    "null size/alpha at 0.001, dim": (None, 1.25),
    "null size/alpha at 1e-05, dim": (None, 2.5),
    "calls per healthy sample": (None, 1.0),
    "up:down at 1e-3 on healthy samples": (0.67, 1.5),
    "same calls between seeds (Jaccard, 20 tumours)": (0.80, None),
    "Spearman of ln r between seeds": (0.95, None),
}


def add(figures, name, value, *, suffix="", must=True):
    """One figure against its bounds."""
    low, high = MUSTS.get(name, (None, None)) if must else (None, None)
    parts = ([f">= {low:g}"] if low is not None else []) + ([f"<= {high:g}"] if high is not None else [])
    ok = (low is None or value >= low) and (high is None or value <= high) if parts else None
    figures.add(name + suffix, float(value), ", ".join(parts), ok)


def split_of_benchmark():
    """The shared benchmark's training samples."""
    spec = importlib.util.spec_from_file_location("shared_benchmark", BENCH / "n_of_one.py")
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    return shared.split(argparse.Namespace(dev=False))[0]


def other_tenths():
    """Models of the same seed that hold other donors out, so that they train and are calibrated on others."""
    train = split_of_benchmark()
    return [pydgd.DGD.fit(train, seed=0, validation_seed=number) for number in OTHER_TENTHS]


def agreement(models):
    """Jaccard index of the calls of each pair of models, and Spearman's rho of their ln r."""
    tumours = ad.read_h5ad(SHARED / "data" / "tumours.h5ad")
    rows = np.concatenate(
        [np.flatnonzero(tumours.obs.cohort == c)[:TUMOURS_PER_COHORT] for c in np.unique(tumours.obs.cohort)]
    )
    query, calls, log_r = tumours[rows].copy(), [], []
    for model in models:
        table = pydgd.differential_expression(query, model.closest_normal(query), padj_below=0.05)
        calls.append(table.groupby("sample", observed=True)["gene"].agg(set))
        log_r.append(dict(zip(model.genes, model.record.calibration.log_r, strict=True)))
    shares, rhos = [], []
    for a, b in combinations(range(len(models)), 2):
        for sample in query.obs_names:
            one, other = (calls[i].get(sample, set()) for i in (a, b))
            if one | other:
                shares.append(len(one & other) / len(one | other))
        both = sorted(log_r[a].keys() & log_r[b].keys())
        rhos.append(spearmanr([log_r[a][g] for g in both], [log_r[b][g] for g in both])[0])
    return float(np.mean(shares)), float(np.mean(rhos))


def main():
    """Run every seed, then the baselines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    figures = Figures("n_of_one", arguments.quick)
    seeds = range(1 if arguments.quick else arguments.seeds)
    with tempfile.TemporaryDirectory() as folder:
        kept = [Path(folder) / f"{seed}.dgd" for seed in seeds]
        runs = [
            numbers(score(METHOD, seed=seed, keep=path, quick=arguments.quick))
            for seed, path in zip(seeds, kept, strict=True)
        ]
        for name in runs[0]:
            values = [run[name] for run in runs]
            spread = f", mean of {len(runs)} seeds ({min(values):.3g} to {max(values):.3g})"
            add(figures, name, np.mean(values), suffix=spread, must=not arguments.quick)
        if len(runs) > 1:
            models = [pydgd.DGD.load(path) for path in kept]
            jaccard, rho = agreement(models)
            add(figures, "same calls between seeds (Jaccard, 20 tumours)", jaccard)
            add(figures, "Spearman of ln r between seeds", rho)
            jaccard, rho = agreement([models[0], *other_tenths()])
            add(figures, "same calls where other donors are held out (Jaccard, 3 models)", jaccard)
            add(figures, "Spearman of ln r where other donors are held out", rho)
    if not arguments.quick:
        for baseline in ("known_tissue", "grand_mean"):
            for name, value in numbers(score(BENCH / f"{baseline}.py")).items():
                add(figures, name, value, suffix=f" ({baseline})", must=False)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
