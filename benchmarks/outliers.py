# SPDX-License-Identifier: BSD-3-Clause
"""Single outlying counts in healthy samples: `python benchmarks/outliers.py [--quick]`.

As OUTRIDER tests itself (Brechtmann et al. 2018, Am. J. Hum. Genet. 103:907): into counts of held-out
samples, whose donors training did not see, outliers are put with a probability of 1e-4 each,
k = round(s · 2^(mean ± z · sd)), with mean and sd of log2((k + 1)/s) over the training samples of that tissue
and project, z of 2, 3, 4 and 6. 1e-4 gives less than two hundred, so that 1e-3 is reported as well. Genes
have a mean of at least 20 reads in the tissue, tissues at least 25 training samples.

Scored is the average precision of all counts together, ranked by p-value, for high and low outliers apart; an
outlier found in the wrong direction ranks last. Rivals (`_outlier_rivals.py`) once learn from the training
samples, as PyDGD does, and once from these and the samples with the outliers, as OUTRIDER and OutSingle do.
Needs ``../shared``. The quick run has some of the samples and 3,000 genes: it tells only that the run works.
"""

import argparse
import sys
from typing import NamedTuple

import anndata as ad
import numpy as np
from sklearn.metrics import average_precision_score

import pydgd
from _figures import Figures
from _heldout import SHARED
from _outlier_rivals import log_normal_svd, nb_pca
from pydgd.data import scaling_factors, typical_profile

SIZES, FREQUENCIES = (2, 3, 4, 6), (1e-4, 1e-3)
FEWEST_SAMPLES, FEWEST_READS = 25, 20
# A gene that is silent in most samples has an sd of many doublings: what no library holds is not put in.
MOST = 100
RIVALS = {"NB-PCA": nb_pca, "log-normal SVD": log_normal_svd}
DEFAULT, IN_SAMPLE = "PyDGD, default", ", in-sample"


class Cohort(NamedTuple):
    """Held-out samples, and what their tissue's training samples say of every count.

    Attributes:
        adata: The samples.
        factors: Scaling factors.
        mean: Of log2((k + 1)/s), samples × genes.
        sd: Likewise.
        largest: Reads of which no count may have more.
        scored: Genes that are expressed in the tissue.
    """

    adata: ad.AnnData
    factors: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    largest: np.ndarray
    scored: np.ndarray


def tissue_of(adata):
    """Tissue and project: they differ by batch even within an organ."""
    return (adata.obs["tissue"].astype(str) + " " + adata.obs["project"].astype(str)).to_numpy()


def cohort_of(training, held_out, factors, held_out_factors):
    """The held-out samples of the tissues that training has often enough."""
    tissues, where = tissue_of(held_out), tissue_of(training)
    known = [t for t in np.unique(where) if (where == t).sum() >= FEWEST_SAMPLES]
    kept = np.isin(tissues, known)
    logs = np.log2((np.asarray(training.X) + 1) / factors[:, None])
    counts = np.asarray(training.X)
    parts = {
        t: (
            logs[where == t].mean(0),
            logs[where == t].std(0, ddof=1),
            MOST * counts[where == t].max(0),
            counts[where == t].mean(0) >= FEWEST_READS,
        )
        for t in known
    }
    columns = [np.stack([parts[t][i] for t in tissues[kept]]) for i in range(4)]
    return Cohort(held_out[kept].copy(), held_out_factors[kept], *columns)


def inject(cohort, *, z, frequency):
    """Counts with outliers, and where these are: +1 high, -1 low."""
    counts = np.asarray(cohort.adata.X)
    # The same places and directions whatever z.
    rng = np.random.default_rng([11, round(1 / frequency)])
    sign = (
        np.where(rng.random(counts.shape) < frequency, rng.choice([-1, 1], counts.shape), 0) * cohort.scored
    )
    changed = np.round(cohort.factors[:, None] * 2.0 ** (cohort.mean + sign * z * cohort.sd))
    sign = np.where((changed <= cohort.largest) & (changed != counts), sign, 0)
    return np.where(sign != 0, np.minimum(changed, cohort.largest), counts).astype(np.int64), sign


def by_pydgd(model, adata, point):
    """Log p-values and directions of the model's genes."""
    table = pydgd.differential_expression(adata, model.closest_normal(adata, point=point))
    shape = (adata.n_obs, len(model.genes))
    return (table[name].to_numpy().reshape(shape) for name in ("log_pvalue", "direction"))


def average_precisions(score, direction, sign, scored):
    """Of high and of low outliers, all samples together; 0 where there are none."""
    found = {}
    for name, side in (("high", 1), ("low", -1)):
        kept = scored & ((sign == 0) | (sign == side))
        truth = (sign == side)[kept]
        # Of no use is an outlier that is found in the wrong tail.
        ranks = np.where(truth & (direction[kept] != side), score.min() - 1, score[kept])
        found[name] = float(average_precision_score(truth, ranks)) if truth.any() else 0.0
    return found


def scores_of(model, training, factors, fitted, cohort, counts, genes):
    """Of every method, how outlying every count of `genes` is and in which direction."""
    adata = cohort.adata.copy()
    adata.X = counts
    for name, point in ((DEFAULT, "posterior"), ("PyDGD, map", "map")):
        log_p, direction = by_pydgd(model, adata, point)
        yield name, -log_p, direction
    some, s = counts[:, genes].astype(float), cohort.factors
    for name, learn in RIVALS.items():
        for how, residuals in (("", fitted[name]), (IN_SAMPLE, None)):
            if residuals is None:
                residuals, _ = learn(np.vstack([training, some]), np.concatenate([factors, s]))
            values = residuals(some, s)
            yield name + how, np.abs(values), np.sign(values)


def data(quick):
    """Training samples and the cohort; of the quick run every third, on some genes."""
    normals = ad.read_h5ad(SHARED / "data" / "normals.h5ad")
    training, held_out = (normals[normals.obs["split"] == split] for split in ("train", "test_heldout"))
    if quick:
        genes = np.sort(np.random.default_rng(0).permutation(normals.n_vars)[:3000])
        training, held_out = training[::2, genes], held_out[::3, genes]
    training, held_out = training.copy(), held_out.copy()
    profile = typical_profile(training.X, rule="median")
    factors = [scaling_factors(a.X, rule="median", profile=profile) for a in (training, held_out)]
    return training, factors[0], cohort_of(training, held_out, *factors)


def run(figures, *, seed, quick):
    """Every setting and method; returns AP by frequency, method, z and direction."""
    training, factors, cohort = data(quick)
    model = pydgd.DGD.fit(training, seed=seed, **({"epochs": 10} if quick else {}))
    genes = training.var_names.get_indexer(list(model.genes))
    cohort = cohort._replace(scored=cohort.scored & np.isin(np.arange(training.n_vars), genes))
    known = np.asarray(training.X)[:, genes].astype(float)
    fitted = {}
    for name, learn in RIVALS.items():
        fitted[name], n = learn(known, factors)
        figures.add(f"{name}: components by the optimal hard threshold", n)
    found = {}
    for frequency in FREQUENCIES:
        for z in SIZES[::2] if quick else SIZES:
            counts, sign = inject(cohort, z=z, frequency=frequency)
            where = f"{frequency:g}, z = {z}"
            n_high, n_low = int((sign > 0).sum()), int((sign < 0).sum())
            figures.add(
                f"{where}: outliers among {cohort.scored.sum():,} counts, high and low", f"{n_high}, {n_low}"
            )
            for name, score, direction in scores_of(model, known, factors, fitted, cohort, counts, genes):
                ap = average_precisions(score, direction, sign[:, genes], cohort.scored[:, genes])
                for side, value in ap.items():
                    figures.add(f"{where}, {side}: AP of {name}", value)
                    found.setdefault((frequency, name), []).append(value)
    return found


def main() -> int:
    """Run, and hold the default against the best rival."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures = Figures("outliers", arguments.quick)
    found = run(figures, seed=arguments.seed, quick=arguments.quick)
    means = {key: float(np.mean(values)) for key, values in found.items()}
    for (frequency, name), value in means.items():
        figures.add(f"{frequency:g}: mean AP of {name}", value)
    for frequency in FREQUENCIES:
        for who, ending in (("learns as PyDGD does", ""), ("also learns from the cohort", IN_SAMPLE)):
            best = max(means[frequency, name + ending] for name in RIVALS)
            gain = means[frequency, DEFAULT] - best
            must = ("", None) if arguments.quick else (">= 0", gain >= 0)
            figures.add(f"{frequency:g}: mean AP, default less the best rival that {who}", gain, *must)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
