# SPDX-License-Identifier: BSD-3-Clause
"""Patients out of a model: healthy samples that it could have seen, some with changes that are known."""

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd import tl
from pydgd.data.simulate import MIN_PLANTED_READS, plant_changes, truth_table
from pydgd.dgd import DGD
from pydgd.errors import ConfigError
from pydgd.inference.decoding import decode

# Where one gene holds a large part of the reads, as albumin does in liver, its noise or change moves the
# share of all others: nothing is planted in such genes, nor a patient drawn where one holds over a tenth.
_MOST_OF_CHANGED, _MOST_OF_ANY = 1e-3, 0.1


def draw_patients(
    model: DGD,
    *,
    n_changed: int = 4,
    n_unchanged: int = 4,
    changed_share: float = 0.02,
    log2_fold_changes: tuple[float, float] = (1.0, 3.0),
    seed: int = 0,
) -> tuple[AnnData, pd.DataFrame]:
    """Draw counts around what a model expects at the positions of training samples, with planted changes.

    They are negative binomial by the model's own dispersion, so the model is right about them but for the
    changes: real samples are not so kind.

    Args:
        model: With labels, and one dispersion per gene.
        n_changed: Patients with changes.
        n_unchanged: Patients that are healthy.
        changed_share: Share of the genes with at least 20 expected reads, and at most one read in a thousand,
            that change in a patient, half of them up.
        log2_fold_changes: Smallest and largest size of a change; sizes are uniform between them.
        seed: Same seed, same patients.

    Returns:
        Counts and truth, as `pydgd.data.Simulation` has cases and truth.

    Raises:
        ConfigError: If the model has no labels or no dispersion per gene.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> model = DGD.fit(simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200).normals, epochs=5)
        >>> patients, truth = draw_patients(model, n_changed=1, n_unchanged=2)
        >>> patients.obs["kind"].tolist(), truth["sample"].unique().tolist()
        (['changed', 'unchanged', 'unchanged'], ['P1'])
    """
    rng = np.random.default_rng([seed, 4])
    positions, tissues = _positions(model, n_changed + n_unchanged, rng)
    healthy = tl.sample_counts(model, source=positions, seed=seed)
    if "dgd_r" not in healthy.var:
        raise ConfigError("patients are drawn from models of nb_feature_dispersion only; give such a model")
    expected = healthy.layers["dgd_mean"]
    changes = np.zeros(expected.shape)
    for patient in range(n_changed):
        mu = expected[patient]
        eligible = (mu >= MIN_PLANTED_READS) & (mu <= _MOST_OF_CHANGED * mu.sum())
        changes[patient] = plant_changes(eligible, changed_share, *log2_fold_changes, rng)
    planted = pd.DataFrame(changes, index=healthy.obs_names, columns=healthy.var_names)
    drawn = tl.sample_counts(model, source=positions, log2_fold_changes=planted, seed=seed)
    kind = np.where(np.arange(len(positions)) < n_changed, "changed", "unchanged")
    patients = AnnData(
        drawn.X,
        obs=pd.DataFrame(
            {"tissue": pd.Categorical(tissues), "kind": pd.Categorical(kind)}, index=drawn.obs_names
        ),
        var=pd.DataFrame({"dispersion": 1 / drawn.var["dgd_r"]}),
        layers={"expected": expected},
    )
    return patients, truth_table(changes, patients)


def _positions(model: DGD, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, list[str]]:
    """Representations of training samples with their tissues, which take turns."""
    labels = model.labels
    if labels is None:
        raise ConfigError("the model has no labels, so no tissue to draw patients of; give one that has")
    record = model.record
    means, _ = decode(record.model, record.representations, np.ones(len(labels)))
    even = means.max(axis=1) <= _MOST_OF_ANY * means.sum(axis=1)
    labels = labels[even] if even.any() else labels
    tissues = [str(tissue) for tissue in rng.permutation(labels.unique())]
    chosen = [tissues[i % len(tissues)] for i in range(n)]
    rows = [rng.choice(labels.index[labels == tissue]) for tissue in chosen]
    names = pd.Index([f"P{i + 1}" for i in range(n)])
    return model.representations.loc[rows].set_index(names), chosen
