# SPDX-License-Identifier: BSD-3-Clause
"""The search of a model's capacity against the default rule, for few, some and many samples.

    python benchmarks/capacity_search.py [--quick]

Searches on training donors of ``../shared``, trains what it found and what the rule says on all of them, and
scores both on the held-out donors, which neither has seen.
"""

import argparse
import time

import numpy as np

import pydgd
from _figures import Figures
from _heldout import SHARED
from pydgd.data import align_to_genes, as_counts
from pydgd.training.unseen import unseen_nll

# Samples, and how many subsets of that size are drawn.
SIZES = {50: 3, 150: 2, 619: 1}
N_GENES = 4_000
SEED = 0
# What the choice may cost where the rule was right: its own noise.
TOLERATED = 0.005


def some(adata, n, n_genes, subset):
    genes = np.sort(np.random.default_rng(SEED).permutation(adata.n_vars)[:n_genes])
    train = adata[adata.obs["split"] == "train"]
    rows = np.sort(np.random.default_rng([n, subset]).permutation(train.n_obs)[:n])
    test = adata[adata.obs["split"] == "test_heldout"]
    return as_counts(train[rows, genes].copy()), as_counts(test[:, genes].copy())


def trained(train, test, options):
    """Nats per unseen count of the test donors, of each sample, and processor seconds."""
    start = time.process_time()
    model = pydgd.DGD.fit(train, seed=SEED, **options)
    seconds = time.process_time() - start
    return unseen_nll(model.record.model, align_to_genes(test, model.genes).counts), seconds


def in_words(row):
    return f"{row['head']}, {row['latent_dim']} dimensions, {row['n_components']} components"


def add_table(figures, where, table):
    """What came to the end: the best of each head, and what the number of components changes."""
    final = table[table["round"] == table["round"].max()]
    best = final.iloc[0]
    figures.add(f"{where}: the search's choice", in_words(best))
    for _, row in final.drop_duplicates("head").iloc[1:].iterrows():
        shown = f"{row['behind']:.4f} ± {row['behind_se']:.4f}"
        figures.add(
            f"{where}, search: best {row['head']}, {row['latent_dim']} dimensions, nats behind", shown
        )
    same = final[(final["head"] == best["head"]) & (final["latent_dim"] == best["latent_dim"])]
    tried = f"{same['n_components'].min()} to {same['n_components'].max()}"
    figures.add(f"{where}, search: {tried} components, nats apart", float(same["behind"].max()))


def add_subset(figures, adata, n, subset, *, n_genes):
    train, test = some(adata, n, n_genes, subset)
    start = time.process_time()
    found = pydgd.DGD.search_capacity(train, seed=SEED)
    spent = time.process_time() - start
    where = f"{train.n_obs} samples, subset {subset + 1}"
    add_table(figures, where, found.table)
    searched, _ = trained(train, test, found.options)
    ruled, seconds = trained(train, test, {})
    figures.add(f"{where}: test donors, default rule, nats per unseen count", float(ruled.mean()))
    figures.add(f"{where}: test donors, search's choice, nats per unseen count", float(searched.mean()))
    change, limit = searched - ruled, TOLERATED * float(ruled.mean())
    error = float(change.std(ddof=1) / len(change) ** 0.5)
    figures.add(
        f"{where}: search's choice less default rule",
        f"{change.mean():.4f} ± {error:.4f}",
        f"<= {limit:.3f} (0.5 %)",
        change.mean() <= limit,
    )
    figures.add(f"{where}: processor time of the search over that of a training", spent / seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    adata = pydgd.read_counts(SHARED / "data" / "normals.h5ad")
    figures = Figures("capacity_search", quick)
    for n, n_subsets in SIZES.items():
        for subset in range(1 if quick else n_subsets):
            if n == min(SIZES) or not quick:
                add_subset(figures, adata, n, subset, n_genes=2_000 if quick else N_GENES)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
