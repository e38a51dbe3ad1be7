# SPDX-License-Identifier: BSD-3-Clause
"""Samples by their labels: `split=train`, `tissue!=liver,kidney`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.errors import ConfigError


def select_samples(adata: AnnData, expression: str | Iterable[str]) -> AnnData:
    """The samples that meet every condition.

    Args:
        adata: Samples with labels in `obs`.
        expression: ``"column=value"``, ``"column=value1,value2"`` (any of them), ``"column!=value"`` (none
            of them), or several such conditions, all of which must hold. Numbers are compared as numbers.
            A sample without a label never meets ``=`` and always meets ``!=``.

    Returns:
        A copy with the samples in their order.

    Raises:
        ConfigError: If a condition cannot be read, a column or value does not exist, or no sample is left.
            The message lists what exists.

    Example:
        >>> obs = pd.DataFrame({"split": ["train", "test", "train"]}, index=["S1", "S2", "S3"])
        >>> select_samples(AnnData(np.ones((3, 2)), obs=obs), "split=train").obs_names.tolist()
        ['S1', 'S3']
    """
    return adata[which_samples(adata.obs, expression)].copy()


def which_samples(obs: pd.DataFrame, expression: str | Iterable[str]) -> NDArray[Any]:
    """Numbers of the samples that meet every condition, rising.

    Args:
        obs: Labels of the samples.
        expression: As in `select_samples`, whose errors these are.

    Example:
        >>> which_samples(pd.DataFrame({"split": ["train", "test", "train"]}), "split=train")
        array([0, 2])
    """
    conditions = [expression] if isinstance(expression, str) else list(expression)
    chosen = np.ones(len(obs), dtype=bool)
    for condition in conditions:
        chosen &= _meets(obs, condition)
    if not chosen.any():
        raise ConfigError(f"no sample meets {' and '.join(map(repr, conditions))}; loosen the conditions")
    return np.flatnonzero(chosen)


def _meets(obs: pd.DataFrame, condition: str) -> NDArray[Any]:
    """Which samples meet one condition."""
    column, equals, values = condition.partition("=")
    negated = column.endswith("!")
    column = column.removesuffix("!").strip()
    wanted = [value.strip() for value in values.split(",") if value.strip()]
    if not (column and equals and wanted):
        raise ConfigError(
            f"cannot read the condition {condition!r}; write column=value, column=value1,value2 or "
            "column!=value"
        )
    if column not in obs.columns:
        raise ConfigError(f"{condition!r}: no column {column!r} in obs; there is {_some(obs.columns)}")
    labels = obs[column]
    found = [_equal(labels, value) for value in wanted]
    for value, hits in zip(wanted, found, strict=True):
        if not hits.any():
            existing = labels.dropna().unique()
            raise ConfigError(f"{condition!r}: no {column} is {value!r}; there is {_some(existing)}")
    any_of = np.logical_or.reduce(found)
    return np.asarray(~any_of if negated else any_of)


def _equal(labels: pd.Series, value: str) -> NDArray[Any]:
    """Which labels are `value`; a missing label is none."""
    if pd.api.types.is_numeric_dtype(labels) and not pd.api.types.is_bool_dtype(labels):
        try:
            number = float(value)
        except ValueError:
            return np.zeros(len(labels), dtype=bool)
        return (labels.astype(float) == number).to_numpy()
    return ((labels.astype(str) == value) & labels.notna()).to_numpy(dtype=bool)


def _some(names: Iterable[Any], n_shown: int = 10) -> str:
    given = [str(name) for name in names]
    more = f", … ({len(given)} in all)" if len(given) > n_shown else ""
    return (", ".join(map(repr, given[:n_shown])) or "none") + more
