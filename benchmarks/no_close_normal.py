# SPDX-License-Identifier: BSD-3-Clause
"""Samples without a close normal, told from healthy ones: `python benchmarks/no_close_normal.py [--quick]`.

Liver, thyroid and prostate are left out of the training in turn. The model's own flag, with the threshold
that training stored, is then asked about that organ's samples and about healthy samples of the other
organs, whose donors training did not see. Heart and muscle, in no training, come from another pipeline;
tumours are no healthy tissue. So both say less about organs and are reported beside. The quick run leaves
out thyroid alone, with 3,000 genes.
"""

import argparse
import sys
import time

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import pydgd
from _figures import Figures
from _heldout import SHARED
from pydgd.data import align_to_genes
from pydgd.inference.closest_normal import find_and_decode
from pydgd.inference.fit_reference import fit_reference
from pydgd.inference.flags import FALSE_ALARMS, Limit
from pydgd.inference.neighbours import TrainingSamples

DATA = SHARED / "data"
# Two bile-duct normals of the training look like liver, so that liver is also left out together with these.
LEFT_OUT = (("liver",), ("liver", "bile duct"), ("thyroid",), ("prostate",), ())
PANEL = 1000
SIZES, DRAWS = (6, 10, 20, 58), 300
# A tissue that RNAseqDB's normals do not have, made by another pipeline.
HEART = "heart and muscle"


def flags(model, adata, **options):
    """Scores, and whether each sample is said to have no close normal."""
    fit = model.closest_normal(adata, **options).fit
    return fit["dgd_ood_score"].to_numpy(), ~fit["dgd_close_normal"].to_numpy(dtype=bool)


def auc(unlike, healthy):
    """Area under the curve of the scores."""
    truth = np.repeat([1, 0], [len(unlike), len(healthy)])
    return float(roc_auc_score(truth, np.concatenate([unlike, healthy])))


def heart_and_muscle(normals):
    """The samples of the other pipeline by the symbols of `normals`, where these are one to one."""
    adata = ad.read_h5ad(DATA / "heart_muscle.h5ad")
    symbols = pd.Series(normals.var_names, normals.var["ensembl_id"].astype(str))
    symbols = symbols[~symbols.index.duplicated(keep=False)]
    names = symbols.reindex(adata.var_names.str.partition(".").get_level_values(0))
    known = names.notna().to_numpy() & ~names.duplicated(keep=False).to_numpy()
    adata = adata[:, known].copy()
    adata.var_names = names[known].astype(str)
    return adata


def add_training(figures, model, training, seconds, where):
    """What the flags cost."""
    held_out = training[~training.obs_names.isin(model.record.sample_names)].copy()
    seen = TrainingSamples(model.record.model.prior, model.record.representations)
    aligned = align_to_genes(held_out, model.genes)
    start = time.perf_counter()
    fit_reference(aligned, find_and_decode(model.record.model, aligned), seen)
    cost = time.perf_counter() - start
    figures.add(f"{where}: training, s", seconds)
    figures.add(f"{where}: of it for the reference of {held_out.n_obs} held-out samples, s", cost)


def add_tissue(figures, what, found, usual, *, least=None):
    """How well one kind of samples is told from held-out normals."""
    score, flagged = found
    area = auc(score, usual)
    must = "" if least is None else f">= {least}"
    figures.add(f"{what} ({len(score)}), AUC", area, must, None if least is None else area >= least)
    figures.add(f"{what}: share without a close normal", float(flagged.mean()))


def add_panel(figures, model, left, healthy, where):
    """The same with a panel of genes, which sees less."""
    genes = np.random.default_rng(0).permutation(list(model.genes))[:PANEL]
    usual, alarms = flags(model, healthy[:, genes].copy(), min_shared=0.01)
    figures.add(f"{where}, {PANEL} random genes: false alarms, share", float(alarms.mean()))
    found = flags(model, left[:, genes].copy(), min_shared=0.01)
    add_tissue(figures, f"{where}, {PANEL} random genes: left-out organ", found, usual)


def add_references(figures, model, healthy, where):
    """False alarms with references of any size, drawn from all healthy samples that training did not see."""
    fit = model.closest_normal(healthy).fit
    measures = [fit[name].to_numpy() for name in ("dgd_misfit", "dgd_distance")]
    rng = np.random.default_rng(0)
    for size in SIZES:
        alarms = []
        for _ in range(DRAWS):
            drawn = rng.choice(len(fit), size, replace=False)
            limits = [Limit.of(values[drawn], share=FALSE_ALARMS / 2) for values in measures]
            scores = [limit.scores(values) for limit, values in zip(limits, measures, strict=True)]
            alarms.append((np.maximum(*scores) > 1).mean())
        what = f"{where}: {DRAWS} references of {size} among {len(fit)} healthy samples"
        figures.add(f"{what}, false alarms, mean share", float(np.mean(alarms)))
        figures.add(f"{what}, share with more than 5 %", float((np.array(alarms) > 0.05).mean()))


def add_labels(figures, model, healthy, where):
    """How often the label that is named first is the sample's own tissue."""
    fit, tissue = model.closest_normal(healthy).fit, healthy.obs["tissue"].astype(str)
    for column in ("dgd_nearest_labels", "dgd_nearest_components"):
        first = fit[column].str.extract(r"^(.*?) \d")[0]
        share = float((first == tissue).mean())
        figures.add(f"{where}: held-out normals whose tissue is the first of {column}, share", share)


def add_model(figures, normals, others, left_out, *, quick):
    """Train without some organs; ask about these and about what was in the training."""
    where = f"without {' and '.join(left_out)}" if left_out else "all organs"
    kept = ~normals.obs["tissue"].isin(left_out)
    training = normals[(normals.obs["split"] == "train") & kept].copy()
    healthy = normals[(normals.obs["split"] == "test_heldout") & kept].copy()
    start = time.perf_counter()
    model = pydgd.DGD.fit(training, seed=0)
    add_training(figures, model, training, time.perf_counter() - start, where)
    usual, alarms = flags(model, healthy)
    false = float(alarms.mean())
    must = {} if quick else {"must": "<= 0.05", "ok": false <= 0.05}
    figures.add(f"{where}: false alarms among {len(usual)} held-out normals, share", false, **must)
    if left_out:
        left = normals[~kept].copy()
        least = 0.95 if len(left_out) == 1 and not quick else None
        add_tissue(figures, f"{where}: left-out organ", flags(model, left), usual, least=least)
        if not quick:
            add_panel(figures, model, left, healthy, where)
    if not quick:
        unseen = kept.to_numpy() & ~normals.obs_names.isin(model.record.sample_names)
        add_references(figures, model, normals[unseen].copy(), where)
        add_labels(figures, model, healthy, where)
    for name, adata in others.items():
        least = 0.99 if name == HEART and not quick else None
        add_tissue(figures, f"{where}: {name}", flags(model, adata), usual, least=least)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute at most, nothing is asked of it")
    quick = parser.parse_args().quick
    normals, tumours = (ad.read_h5ad(DATA / f"{name}.h5ad") for name in ("normals", "tumours"))
    others = {HEART: heart_and_muscle(normals)}
    for cohort in () if quick else tumours.obs["cohort"].unique():
        others[f"tumours {cohort}"] = tumours[tumours.obs["cohort"] == cohort].copy()
    if quick:
        genes = np.random.default_rng(0).permutation(others[HEART].var_names.intersection(normals.var_names))
        normals = normals[:, genes[:3000]].copy()
    figures = Figures("no_close_normal", quick)
    for left_out in (("thyroid",),) if quick else LEFT_OUT:
        add_model(figures, normals, others, left_out, quick=quick)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
