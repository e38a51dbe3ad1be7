# SPDX-License-Identifier: BSD-3-Clause
"""The mixture behind a model: which component a sample belongs to, and what each of them holds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pydgd.dgd import DGD
from pydgd.errors import ConfigError, NamesError
from pydgd.tl.positions import Positions, Source, joint_log_densities, positions


def responsibilities(model: DGD, source: Source = None) -> pd.DataFrame:
    """Probability of each component of the mixture given each sample's representation.

    Args:
        model: The trained model.
        source: Closest normals, an AnnData with ``obsm["X_dgd"]``, a DataFrame of samples × latent
            dimensions, or None for the training samples.

    Returns:
        Samples × components, ``component_0`` …, numbered as in ``dgd_component``; rows sum to 1.

    Raises:
        ConfigError: If the representations are not of this model's space.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> model = DGD.fit(simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200).normals, epochs=5)
        >>> bool((responsibilities(model).sum(axis=1).round(6) == 1).all())
        True
    """
    found = positions(model, source)
    joint = joint_log_densities(model.record.model.prior, found.z)
    values = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    return _frame(values, found)


def component_densities(model: DGD, source: Source = None, *, log: bool = True) -> pd.DataFrame:
    """Joint density of each component and each sample's representation, its weight included.

    Args:
        model: The trained model.
        source: As for `responsibilities`.
        log: Natural logarithms; else densities, which in many dimensions leave the range of floats.

    Returns:
        One row per sample: ``component_0`` …, weight times density; ``density`` of the whole mixture, their
        sum; ``component``, the most probable one. With `log` all but the last are logarithms, in nats.

    Raises:
        ConfigError: If the representations are not of this model's space.
    """
    found = positions(model, source)
    joint = joint_log_densities(model.record.model.prior, found.z)
    total = np.logaddexp.reduce(joint, axis=1)
    table = _frame(joint if log else np.exp(joint), found)
    table["density"] = total if log else np.exp(total)
    table["component"] = joint.argmax(axis=1)
    return table


def typical_samples(model: DGD, source: Source = None, *, n: int = 5) -> pd.DataFrame:
    """The samples in the middle of each component: of those that belong to it, the densest.

    Args:
        model: The trained model.
        source: As for `responsibilities`.
        n: How many of each component at most.

    Returns:
        One row per component and sample: ``component``, ``rank``, ``sample``, ``label`` (of training samples,
        if known), ``log_density`` (joint, nats), ``responsibility``. A component that is no sample's most
        probable one is missing.

    Raises:
        ConfigError: If the representations are not of this model's space, or `n` is below 1.
    """
    if n < 1:
        raise ConfigError(f"n is {n}; give at least 1 sample per component")
    found = positions(model, source)
    joint = joint_log_densities(model.record.model.prior, found.z)
    best = joint.argmax(axis=1)
    inside = joint[np.arange(len(best)), best]
    table = pd.DataFrame(
        {
            "component": best,
            "sample": found.names,
            "log_density": inside,
            "responsibility": np.exp(inside - np.logaddexp.reduce(joint, axis=1)),
        }
    )
    if source is None and model.labels is not None:
        table.insert(2, "label", model.labels.to_numpy())
    table = table.sort_values(["component", "log_density"], ascending=[True, False], kind="stable")
    table.insert(1, "rank", table.groupby("component").cumcount() + 1)
    return table[table["rank"] <= n].reset_index(drop=True)


def component_labels(
    model: DGD, source: Source = None, *, labels: pd.Series | Mapping[str, str] | None = None
) -> pd.DataFrame:
    """What each component is made of: the tissues of the samples in it.

    Args:
        model: The trained model.
        source: As for `responsibilities`.
        labels: Sample → label; by default what training samples are labelled with. Samples without one count
            as ``unlabelled``.

    Returns:
        One row per component and label that has a sample there, the largest share first: ``component``,
        ``weight`` of the component in the mixture, ``label``, ``n_samples`` whose most probable component it
        is, ``n_expected``, the sum of responsibilities, and ``share`` of that in the component.

    Raises:
        ConfigError: If the representations are not of this model's space, or there are no labels.
        NamesError: If none of the samples has a label, or one has two.
    """
    found = positions(model, source)
    given = _labels(model, found, source, labels)
    joint = joint_log_densities(model.record.model.prior, found.z)
    held = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    codes, names = pd.factorize(given, sort=True)
    member = np.eye(len(names))[codes]
    expected, best = held.T @ member, np.eye(joint.shape[1])[joint.argmax(axis=1)].T @ member
    component, label = np.indices(expected.shape).reshape(2, -1)
    with torch.no_grad():
        weights = model.record.model.prior.weights.double().numpy()
    table = pd.DataFrame(
        {
            "component": component,
            "weight": weights[component],
            "label": np.asarray(names, dtype=object)[label],
            "n_samples": best.ravel().astype(np.int64),
            "n_expected": expected.ravel(),
            "share": (expected / expected.sum(axis=1, keepdims=True).clip(1e-300)).ravel(),
        }
    )
    # Less than a thousandth of a sample is the tail of another component's.
    table = table[(table["n_expected"] >= 1e-3) | (table["n_samples"] > 0)]
    return table.sort_values(
        ["component", "share"], ascending=[True, False], kind="stable", ignore_index=True
    )


def _labels(
    model: DGD, found: Positions, source: Source, labels: pd.Series | Mapping[str, str] | None
) -> NDArray[np.object_]:
    known = model.labels if labels is None and source is None else labels
    if known is None:
        raise ConfigError(
            "there are no labels: give labels=, sample -> label; those of training samples are known where "
            "training was told their column"
        )
    series = pd.Series(known, dtype=object)
    series.index = series.index.astype(str)
    if not series.index.is_unique:
        twice = series.index[series.index.duplicated()][0]
        raise NamesError(f"sample {twice!r} has more than one label; give each sample one")
    matched = series.reindex(found.names)
    if matched.isna().all():
        raise NamesError(
            f"none of the samples (first: {found.names[0]!r}) has a label; those with one are called e.g. "
            f"{series.index[:1].tolist()}"
        )
    return matched.where(matched.notna(), "unlabelled").astype(str).to_numpy(dtype=object)


def _frame(values: NDArray[np.float64], found: Positions) -> pd.DataFrame:
    columns = pd.Index([f"component_{k}" for k in range(values.shape[1])])
    return pd.DataFrame(values, index=found.names, columns=columns)
