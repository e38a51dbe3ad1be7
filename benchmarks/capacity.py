# SPDX-License-Identifier: BSD-3-Clause
"""How the defaults were chosen: likelihood of held-out normals, seen by z and not, for shapes of the model.

    python benchmarks/capacity.py [--quick]

Uses the training donors of ``../shared`` only: a fifth of them is left out to be scored.
"""

import argparse
import time

import numpy as np

import pydgd
from _figures import Figures
from _heldout import SHARED, score
from pydgd.data import as_counts

SHAPES = {
    "linear, latent 20": {"latent_dim": 20},
    "linear, latent 40": {"latent_dim": 40},
    "linear, latent 64 (default)": {},
    "linear, latent 80": {"latent_dim": 80},
    "linear, latent 100": {"latent_dim": 100},
    "linear, latent 64, scaling mean": {"scaling": "mean"},
    "linear, latent 64, scaling median": {"scaling": "median"},
    "64-256, latent 64": {"n_units_hidden_layers": (256,)},
    "linear, latent 64, 80 epochs": {"epochs": 80},
}
QUICK = ("linear, latent 20", "linear, latent 64 (default)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    adata = pydgd.read_counts(SHARED / "data" / "normals.h5ad")
    adata = as_counts(adata[adata.obs["split"] == "train"].copy())
    donors = np.random.default_rng(5).permutation(np.unique(adata.obs["donor"].astype(str)))
    left_out = adata.obs["donor"].astype(str).isin(donors[::5]).to_numpy()
    if quick:
        adata = adata[:, :3000].copy()
    train, test = adata[~left_out].copy(), adata[left_out].copy()
    figures = Figures("capacity", quick)
    for name in QUICK if quick else SHAPES:
        start = time.perf_counter()
        model = pydgd.DGD.fit(train, validation=0.0, seed=0, **SHAPES[name])
        seconds = time.perf_counter() - start
        seen, unseen = score(model, test)
        genes = f"{len(model.genes):,} genes"
        figures.add(f"{name}, {genes}: NLL per count, genes z saw", seen)
        figures.add(f"{name}, {genes}: NLL per count, genes z did not see", unseen, "reported")
        figures.add(f"{name}, {genes}: training s", seconds)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
