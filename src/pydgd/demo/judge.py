# SPDX-License-Identifier: BSD-3-Clause
"""A demo's answers against the truth about its simulated samples."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.demo.result import N_NEIGHBOURS, N_TOP, PADJ, Accuracy, Case
from pydgd.dgd import DGD
from pydgd.inference import ClosestNormal
from pydgd.stats import log_adjusted_p, log_p_value


class Answers(NamedTuple):
    """What a model says of simulated cases, beside the truth.

    Attributes:
        model: The model that was asked.
        cases: Counts of the cases.
        truth: The changes that were planted.
        normal: The cases' closest normals.
        table: Every gene of every case.
    """

    model: DGD
    cases: AnnData
    truth: pd.DataFrame
    normal: ClosestNormal
    table: pd.DataFrame


def accuracy_of(answers: Answers) -> Accuracy:
    """All cases against the truth.

    Args:
        answers: What the model says.
    """
    cases, truth = answers.cases, answers.truth
    called = answers.table.loc[answers.table["padj"] < PADJ, ["sample", "gene"]].astype(str)
    changed = cases.obs["kind"] == "changed"
    n_called = int(called["sample"].isin(cases.obs_names[changed]).sum())
    n_right = len(called.merge(truth, on=["sample", "gene"]))
    return Accuracy(
        recall=n_right / len(truth),
        attainable=len(_calls_of_the_omniscient(cases).merge(truth)) / len(truth),
        false_discovery_proportion=1 - n_right / max(n_called, 1),
        calls_per_unchanged_case=(len(called) - n_called) / int((~changed).sum()),
        n_changed_genes=len(truth),
        n_called=n_called,
    )


def _calls_of_the_omniscient(cases: AnnData) -> pd.DataFrame:
    """Samples and genes that the negative binomial test calls when it is told mean and dispersion."""
    dispersion = cases.var["dispersion"].to_numpy()
    log_p, _ = log_p_value(cases.X, cases.layers["expected"], 1 / dispersion)
    sample, gene = np.nonzero(log_adjusted_p(log_p) < np.log(PADJ))
    return pd.DataFrame({"sample": cases.obs_names[sample], "gene": cases.var_names[gene]})


def case_of(answers: Answers, sample: str) -> Case:
    """One case in detail.

    Args:
        answers: What the model says.
        sample: Name of the case.
    """
    table, truth = answers.table, answers.truth
    own = table[table["sample"] == sample]
    return Case(
        sample=sample,
        tissue=str(answers.cases.obs.loc[sample, "tissue"]),
        neighbours=_neighbours(answers.model, answers.normal, sample),
        top_genes=_top_genes(own, truth[truth["sample"] == sample]),
        n_differing=int((own["padj"] < PADJ).sum()),
    )


def _neighbours(model: DGD, normal: ClosestNormal, sample: str) -> dict[str, int]:
    """Tissues of the training samples nearest in latent space, the most frequent first."""
    z = normal.representations[normal.sample_names.index(sample)]
    distance = np.linalg.norm(model.representations.to_numpy() - z, axis=1)
    assert model.labels is not None  # cases have a tissue
    nearest = model.labels.iloc[np.argsort(distance)[:N_NEIGHBOURS]]
    return {str(tissue): int(count) for tissue, count in nearest.value_counts().items()}


def _top_genes(table: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    top = table.nsmallest(N_TOP, "log_pvalue")
    columns = ["gene", "observed", "baseMean", "log2FoldChange", "padj"]
    planted = truth.set_index("gene")["log2_fold_change"].reindex(top["gene"].astype(str))
    return top[columns].assign(planted=planted.to_numpy()).reset_index(drop=True)
