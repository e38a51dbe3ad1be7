# SPDX-License-Identifier: BSD-3-Clause
"""Train in one laboratory, ask in another: `python benchmarks/other_laboratory.py [--quick]`.

GTEx and TCGA, one pipeline but other hospitals, protocols and (for TCGA) tissue beside a tumour; trained on
either, asked of held-out healthy samples of the other, of three organs that both have: as it stands, adapted
by 3, 10 and 30 healthy samples of the other laboratory, and in batches of six that help each other. Then
TCGA's kidneys by what knows GTEx's kidneys and other organs of TCGA. Changes are planted as in the N-of-one
benchmark (1 % of the genes, fourfold). Needs ``../shared``. Nobody's donor is on two sides. The quick run
trains on GTEx alone, ten epochs and 3,000 genes: it tells only that the run works.
"""

import argparse
import importlib.util
import sys

import anndata as ad
import numpy as np

import pydgd
from _figures import Figures
from _heldout import SHARED

ORGANS = ("kidney", "uterus", "bladder")
SIZES, BATCH, SEED = (3, 10, 30), 6, 0
# From so many on p-values are learnt anew, and something is asked of them.
ENOUGH = 10


def shared_benchmark():
    """The N-of-one benchmark's functions."""
    spec = importlib.util.spec_from_file_location("n_of_one_shared", SHARED / "bench" / "n_of_one.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = shared_benchmark()


def tested(normal, adata, genes):
    """Log p-values and directions, samples × genes of the data; 0 where a gene is not in the model."""
    table = pydgd.differential_expression(adata, normal)
    found = np.zeros((2, *adata.shape))
    for values, name in zip(found, ("log_pvalue", "direction"), strict=True):
        values[:, adata.var_names.get_indexer(list(genes))] = table[name].to_numpy().reshape(adata.n_obs, -1)
    return found


def planted(adata):
    """The samples with changes, where these are, and which genes are scored."""
    changed, truth = BENCH.plant(np.asarray(adata.X), 0.01, 2.0, np.random.default_rng([7, 10, 20]))
    query = adata.copy()
    query.X = changed.astype(np.int64)
    return query, truth, np.asarray(adata.X) >= BENCH.MIN_COUNT


def scores(search, genes, adata):
    """What healthy samples show, and what is found of planted changes.

    Args:
        search: From samples to closest normals.
        genes: Of the model.
        adata: Healthy samples.
    """
    normal = search(adata)
    log_p, _ = tested(normal, adata, genes)
    bright = np.asarray(adata.X).mean(axis=0) >= BENCH.MIN_COUNT
    query, truth, scored = planted(adata)
    found = BENCH.score_plant(*tested(search(query), query, genes), truth, scored)
    return {
        "calls per healthy sample, mean": float(
            np.mean([(BENCH.benjamini_hochberg(p) < 0.05).sum() for p in log_p])
        ),
        "size/alpha at 0.05": float((log_p[:, bright] < np.log(0.05)).mean() / 0.05),
        "size/alpha at 0.001": float((log_p[:, bright] < np.log(1e-3)).mean() / 1e-3),
        "share with a close normal": float(normal.fit["dgd_close_normal"].astype(float).mean()),
        "planted AP": found["AP"],
        "planted recall at 5 %": found["recall"],
        "planted FDP at 5 %": found["FDP"],
    }


def add(figures, where, found, *, before=None, quick=False):
    """One row per figure; with `before`, what p-values learnt anew must hold."""
    musts = {}
    if before is not None and not quick:
        musts = {
            "planted AP": (f">= {before:.3g}, as it stands", before, np.inf),
            "planted FDP at 5 %": ("<= 0.07", 0, 0.07),
            "calls per healthy sample, mean": ("<= 1", 0, 1),
            "size/alpha at 0.001": ("<= 1.25", 0, 1.25),
        }
    for name, value in found.items():
        must, low, high = musts.get(name, ("", None, None))
        figures.add(f"{where}: {name}", value, must, None if low is None else low <= value <= high)


def some(adata, n):
    """At most so many samples, drawn."""
    rows = np.random.default_rng(SEED).permutation(adata.n_obs)[:n]
    return adata[np.sort(rows)].copy()


def add_batches(figures, where, model, adata):
    """Planted samples help each other, six at a time."""
    query, truth, scored = planted(adata)
    rows = np.random.default_rng(SEED).permutation(adata.n_obs)
    rows = rows[: len(rows) // BATCH * BATCH]
    query.obs["batch"] = ""
    query.obs.iloc[rows, query.obs.columns.get_loc("batch")] = [f"{i // BATCH}" for i in range(len(rows))]
    asked = query[rows].copy()
    for name, normal in (
        ("as it stands", model.closest_normal(asked)),
        (f"by batches of {BATCH}", pydgd.closest_normal_by_batch(model, asked, batch_key="batch")),
    ):
        found = BENCH.score_plant(*tested(normal, asked, model.genes), truth[rows], scored[rows])
        for kind, value in found.items():
            figures.add(f"{where}, {len(rows)} planted samples, {name}: planted {kind}", value)


def add_direction(figures, train, healthy, home, away, options):
    """One laboratory trains, the other asks."""
    quick = "epochs" in options
    model = pydgd.DGD.fit(train[train.obs["project"] == home].copy(), seed=SEED, **options)
    shared = [adata[adata.obs["tissue"].isin(ORGANS)] for adata in (train, healthy)]
    reference, query = (adata[adata.obs["project"] == away].copy() for adata in shared)
    own = shared[1][shared[1].obs["project"] == home].copy()
    add(figures, f"{home} to {home} ({own.n_obs} samples)", scores(model.closest_normal, model.genes, own))
    where = f"{home} to {away} ({query.n_obs} samples)"
    before = scores(model.closest_normal, model.genes, query)
    add(figures, f"{where}, as it stands", before)
    for n in SIZES[:2] if quick else SIZES:
        adapted = pydgd.adapt(model, some(reference, n))
        asked = before["planted AP"] if n >= ENOUGH else None
        found = scores(adapted.closest_normal, model.genes, query)
        add(figures, f"{where}, adapted by {n}", found, before=asked, quick=quick)
    if not quick:
        kept = pydgd.adapt(model, some(reference, 30), healthy=False)
        add(figures, f"{where}, offsets alone, by 30", scores(kept.closest_normal, model.genes, query))
    add_batches(figures, f"{home} to {away}", model, query)


def add_unseen_organ(figures, train, healthy):
    """TCGA's kidneys by models that know GTEx's kidneys, and perhaps TCGA's other organs."""
    kidneys, query = (
        a[(a.obs["project"] == "TCGA") & (a.obs["tissue"] == "kidney")].copy() for a in (train, healthy)
    )
    rest = train[~train.obs_names.isin(kidneys.obs_names)].copy()
    both = pydgd.DGD.fit(rest, seed=SEED)
    alone = pydgd.DGD.fit(rest[rest.obs["project"] == "GTEx"].copy(), seed=SEED)
    other = rest[(rest.obs["project"] == "TCGA") & rest.obs["tissue"].isin([*ORGANS, "cervix"])].copy()
    n_other = other.n_obs
    for name, model in (
        ("GTEx", alone),
        (f"GTEx adapted by {n_other} of TCGA's uterus, bladder and cervix", pydgd.adapt(alone, other)),
        ("GTEx adapted by 10 of TCGA's kidneys", pydgd.adapt(alone, some(kidneys, 10))),
        ("GTEx and TCGA's other organs", both),
        ("both adapted by 10 of TCGA's kidneys", pydgd.adapt(both, some(kidneys, 10))),
    ):
        found = scores(model.closest_normal, model.genes, query)
        add(figures, f"TCGA's kidneys ({query.n_obs}) by {name}", found)


def main() -> int:
    """Both directions, then an organ that one laboratory has not shown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute at most, nothing is asked of it")
    quick = parser.parse_args().quick
    normals = ad.read_h5ad(SHARED / "data" / "normals.h5ad")
    if quick:
        normals = normals[:, np.random.default_rng(SEED).permutation(normals.n_vars)[:3000]]
    train, healthy = (normals[normals.obs["split"] == split].copy() for split in ("train", "test_heldout"))
    figures = Figures("other_laboratory", quick)
    options = {"epochs": 10} if quick else {}
    add_direction(figures, train, healthy, "GTEx", "TCGA", options)
    if not quick:
        add_direction(figures, train, healthy, "TCGA", "GTEx", options)
        add_unseen_organ(figures, train, healthy)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
