# SPDX-License-Identifier: BSD-3-Clause
"""Two tissues are left out of training and learnt later: what is forgotten, what is learnt, p-values.

    python benchmarks/fine_tuning.py [--quick]

Trains on the training donors of ``../shared`` and scores genes that z did not see, in the held-out donors.
"""

import argparse
import time

import numpy as np

import pydgd
from _figures import Figures
from _heldout import SHARED
from pydgd.data import align_to_genes, as_counts
from pydgd.training.unseen import unseen_nll

PAIRS = (("liver", "prostate"), ("thyroid", "lung"), ("salivary gland", "bladder"))
N_GENES = 4_000
SEED = 0
FORGETS_AT_MOST, BEHIND_AT_MOST = 0.005, 0.01


def corner(n_genes):
    """Training and test donors at some of the genes."""
    adata = pydgd.read_counts(SHARED / "data" / "normals.h5ad")
    genes = np.sort(np.random.default_rng(SEED).permutation(adata.n_vars)[:n_genes])
    return [
        as_counts(adata[adata.obs["split"] == split, genes].copy()) for split in ("train", "test_heldout")
    ]


def parts(adata, tissues):
    """Samples of the old and of the new tissues."""
    new = adata.obs["tissue"].isin(tissues).to_numpy()
    return adata[~new].copy(), adata[new].copy()


def timed(function):
    start = time.process_time()
    return function(), time.process_time() - start


def nll(model, adata):
    return float(unseen_nll(model.record.model, align_to_genes(adata, model.genes).counts).mean())


def add_sizes(figures, where, model, samples):
    """How many times as many bright genes as promised have p below 1e-3, of old and of new tissues."""
    for kind, adata in zip(("old", "new"), samples, strict=True):
        sizes = pydgd.calibration_report(model, adata).sizes
        chosen = sizes[(sizes["p_values"] == sizes["p_values"].iloc[0]) & (sizes["genes"] == "bright")]
        value = float(chosen.set_index("level").loc[0.001, "size_over_level"])
        figures.add(f"{where}: size/alpha at 0.001, {kind} tissues ({sizes['p_values'].iloc[0]})", value)


def add_pair(figures, train, test, tissues, *, quick):
    (old, new), tests = parts(train, tissues), parts(test, tissues)
    base = pydgd.DGD.fit(old, seed=SEED)
    both = train[:, list(base.genes)].copy()
    whole, again = timed(lambda: pydgd.DGD.fit(both, seed=SEED, min_detected=0.0))
    learnt, seconds = timed(lambda: base.fine_tune(new, seed=SEED))
    models = {"before": base, "trained on all": whole, "fine-tuned, only new samples at hand": learnt}
    models["fine-tuned, old samples at hand"] = base.fine_tune(new, replay=old, seed=SEED)
    models["without replay (two old samples)"] = base.fine_tune(new, replay=old[:2].copy(), seed=SEED)
    names = f"{', '.join(tissues)} ({new.n_obs} samples)"
    found = {name: [nll(model, part) for part in tests] for name, model in models.items()}
    asked = [found["before"][0] * (1 + FORGETS_AT_MOST), found["trained on all"][1] * (1 + BEHIND_AT_MOST)]
    for name, values in found.items():
        musts = name.startswith("fine-tuned") and not quick
        for kind, value, limit in zip(("old", "new"), values, asked, strict=True):
            must = f"<= {limit:.3f}" if musts else ""
            figures.add(f"{names}, {name}: {kind} tissues", value, must, value <= limit if musts else None)
    figures.add(f"{names}: processor time of fine-tuning over training on all", seconds / again)
    if not quick:
        for name in ("trained on all", *(name for name in models if name.startswith("fine-tuned"))):
            add_sizes(figures, f"{names}, {name}", models[name], tests)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = Figures("fine_tuning", quick)
    train, test = corner(1_500 if quick else N_GENES)
    for tissues in PAIRS[:1] if quick else PAIRS:
        add_pair(figures, train, test, tissues, quick=quick)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
