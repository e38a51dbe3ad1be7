# SPDX-License-Identifier: BSD-3-Clause
"""What is embedded: a table of samples out of whatever a user holds, and numbers out of its columns."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.dgd import DGD
from pydgd.errors import ConfigError, NamesError
from pydgd.inference import ClosestNormal

EmbeddingData: TypeAlias = DGD | ClosestNormal | AnnData | pd.DataFrame

_LATENT = re.compile(r"z[1-9]\d*")


@dataclass(frozen=True)
class Fill:
    """What stands for values that are not finite; None refuses them.

    Attributes:
        nan: For missing values.
        posinf: For infinity.
        neginf: For minus infinity.
    """

    nan: float | None = None
    posinf: float | None = None
    neginf: float | None = None


def table_of(data: EmbeddingData) -> pd.DataFrame:
    """One row per sample: representations ``z1`` … and what else is known, or the table as it is.

    Args:
        data: What a user holds.

    Raises:
        ConfigError: If there is no sample, or an AnnData has no representations.
        NamesError: If two samples have the same name.
    """
    table = _table(data)
    table = table.set_axis(table.index.astype(str), axis=0).set_axis(table.columns.astype(str), axis=1)
    if not len(table):
        raise ConfigError("there is no sample to embed")
    for what, names in (("sample", table.index), ("column", table.columns)):
        if not names.is_unique:
            raise NamesError(f"{what} {names[names.duplicated()][0]!r} stands there twice; rename one")
    return table


def chosen_columns(table: pd.DataFrame, columns: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names of the columns to embed, in the table's order for a pattern.

    Args:
        table: One row per sample.
        columns: Names, a regular expression, or None.

    Raises:
        ConfigError: If none is meant, or one is not there.
    """
    if columns is None:
        latent = [name for name in table if _LATENT.fullmatch(str(name))]
        found = latent or list(table.select_dtypes("number"))
    elif isinstance(columns, str):
        found = [name for name in table if _pattern(columns).search(str(name))]
    else:
        found = list(columns)
        if missing := [name for name in found if name not in table]:
            raise ConfigError(f"there is no column {missing[0]!r}; there is {_shown(table)}")
    if not found:
        wanted = "column of numbers" if columns is None else f"column like {columns!r}"
        raise ConfigError(f"there is no {wanted} to embed; there is {_shown(table)}")
    return tuple(map(str, found))


def numbers(table: pd.DataFrame, columns: tuple[str, ...], fill: Fill) -> NDArray[np.float64]:
    """The columns as finite numbers.

    Args:
        table: One row per sample.
        columns: Their names.
        fill: What stands for values that are not finite.

    Raises:
        ConfigError: If a column holds no numbers, or a value is not finite and nothing stands for it.
    """
    texts = [name for name in columns if table[name].dtype.kind not in "iufb"]
    if texts:
        raise ConfigError(f"column {texts[0]!r} holds no numbers but {table[texts[0]].dtype}; leave it out")
    values = table[list(columns)].to_numpy(dtype=float, copy=True)
    for is_so, stand_in in (
        (np.isnan(values), fill.nan),
        (np.isposinf(values), fill.posinf),
        (np.isneginf(values), fill.neginf),
    ):
        if stand_in is not None:
            values[is_so] = stand_in
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ConfigError(
            f"sample {table.index[row]!r} has the value {values[row, column]} in {columns[column]!r}; leave "
            "the column out, or say what stands for it (fill)"
        )
    return values


def _table(data: EmbeddingData) -> pd.DataFrame:
    if isinstance(data, DGD):
        found = data.representations
        return found if data.labels is None else found.assign(label=data.labels)
    if isinstance(data, ClosestNormal):
        return _with_places(data.representations, data.fit)
    if isinstance(data, AnnData):
        if "X_dgd" not in data.obsm:
            raise ConfigError(
                "the AnnData has no obsm['X_dgd']; give what ClosestNormal.to_anndata returns or `pydgd "
                "closest-normal` wrote, or a table"
            )
        return _with_places(np.asarray(data.obsm["X_dgd"]), data.obs)
    return data


def _with_places(z: NDArray[np.floating], rest: pd.DataFrame) -> pd.DataFrame:
    places = pd.DataFrame(z, index=rest.index, columns=[f"z{d}" for d in range(1, z.shape[1] + 1)])
    return pd.concat([places, rest], axis=1)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"{text!r} is no regular expression: {error}") from error


def _shown(table: pd.DataFrame) -> str:
    names = [str(name) for name in table.columns[:8]]
    return ", ".join(names) + (f", … ({table.shape[1]} in all)" if table.shape[1] > len(names) else "")
