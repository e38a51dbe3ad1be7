# SPDX-License-Identifier: BSD-3-Clause
"""Results in the shapes that other tools take: an annotated AnnData, and a matrix of samples × genes."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.errors import ConfigError, NamesError
from pydgd.inference import ClosestNormal
from pydgd.words import plural

LAYERS = {"log2FoldChange": "dgd_log2fc", "padj": "dgd_padj"}
"""Column of a table of tests → layer of an AnnData, unless told otherwise."""


_FLOAT64 = frozenset({"pvalue", "padj", "pvalue_nb", "lfdr"})


def annotate(
    query: AnnData | pd.DataFrame,
    normal: ClosestNormal,
    table: pd.DataFrame | None = None,
    *,
    layers: Mapping[str, str] | Iterable[str] = LAYERS,
    means: bool = True,
) -> AnnData:
    """The query with its closest normals and the tests against them, as scanpy and others take it.

    Args:
        query: Counts, AnnData or a DataFrame of samples × genes; not changed.
        normal: What `DGD.closest_normal` found for these samples.
        table: What `pydgd.differential_expression` returned for them, perhaps only some of its rows.
        layers: Columns of `table` that become layers, with the layers' names: a mapping, or names of columns,
            whose layers are called ``dgd_`` and the column (``dgd_log2fc`` and ``dgd_padj`` for these two).
        means: Whether to put in ``layers["dgd_mean"]``.

    Returns:
        An AnnData of its own that shares the query's X: what `ClosestNormal.to_anndata` gives
        (``obsm["X_dgd"]``, ``layers["dgd_mean"]``, fit flags in `obs`, `var`, ``uns["dgd"]``) and layers of
        the table, NaN where it has no row or no number; float32, but float64 for probabilities, which may be
        1e-300. ``uns["dgd"]["test"]`` holds the table's settings.

    Raises:
        NamesError: If `normal` lacks a sample, or the table has a row twice.
        ConfigError: If the table lacks a column.

    Example:
        >>> from pydgd import DGD, differential_expression
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> normal = DGD.fit(cohort.normals, latent_dim=4, epochs=5).closest_normal(cohort.cases)
        >>> table = differential_expression(cohort.cases, normal)
        >>> sorted(annotate(cohort.cases, normal, table).layers)
        ['dgd_log2fc', 'dgd_mean', 'dgd_padj', 'expected']
    """
    result = normal.to_anndata(query, means=means)
    if table is None:
        return result
    names = (
        layers if isinstance(layers, Mapping) else {name: LAYERS.get(name, f"dgd_{name}") for name in layers}
    )
    places = _places(table, result.obs_names, result.var_names)
    for column, layer in names.items():
        result.layers[layer] = _matrix(
            table, column, places, result.shape, dtype=np.float64 if column in _FLOAT64 else np.float32
        )
    result.uns["dgd"] = {**result.uns["dgd"], "test": _plain(table.attrs)}
    return result


def wide(table: pd.DataFrame, column: str = "log2FoldChange") -> pd.DataFrame:
    """One column of a table of tests as a matrix, samples × genes.

    Args:
        table: What `pydgd.differential_expression` returned, perhaps only some of its rows.
        column: Its column of numbers.

    Returns:
        Samples and genes in the table's order, NaN where it has no row; ``.T`` is genes × samples.

    Raises:
        ConfigError: If there is no such column, or it holds no numbers.
        NamesError: If the table has a row twice.

    Example:
        >>> table = pd.DataFrame({"sample": ["S1", "S1"], "gene": ["MYC", "TP53"], "padj": [0.01, 0.5]})
        >>> wide(table, "padj")
              MYC  TP53
        S1   0.01   0.5
    """
    _check_columns(table, ["sample", "gene"])
    samples, genes = (pd.Index(table[name].unique().astype(str)) for name in ("sample", "gene"))
    places = _places(table, samples, genes)
    shape = (len(samples), len(genes))
    return pd.DataFrame(_matrix(table, column, places, shape, dtype=np.float64), index=samples, columns=genes)


def _places(table: pd.DataFrame, samples: pd.Index, genes: pd.Index) -> np.ndarray:
    """Number of each row's cell in a matrix of samples × genes; -1 where the matrix lacks it."""
    _check_columns(table, ["sample", "gene"])
    rows = _codes(table["sample"], samples)
    columns = _codes(table["gene"], genes)
    places = np.where((rows < 0) | (columns < 0), -1, rows * len(genes) + columns)
    told = np.bincount(places[places >= 0], minlength=len(samples) * len(genes))
    if (told > 1).any():
        row, column = divmod(int(told.argmax()), len(genes))
        raise NamesError(
            f"the table has {plural(int(told.max()), 'row')} of sample {samples[row]!r} and gene "
            f"{genes[column]!r}; give each pair once"
        )
    return places


def _codes(column: pd.Series, names: pd.Index) -> np.ndarray:
    """Places of a column's values among names, looked up once for each category."""
    category = column.astype("category")
    found = names.get_indexer(pd.Index(category.cat.categories).astype(str)).astype(np.int64)
    # A missing value has the code -1, which takes what is appended.
    return np.append(found, -1)[category.cat.codes.to_numpy()]


def _matrix(
    table: pd.DataFrame,
    column: str,
    places: np.ndarray,
    shape: tuple[int, int],
    *,
    dtype: Any,  # noqa: ANN401
) -> np.ndarray:
    _check_columns(table, [column])
    if table[column].dtype.kind not in "iufb":
        raise ConfigError(f"column {column!r} holds no numbers but {table[column].dtype}; choose another")
    values = np.full(shape[0] * shape[1], np.nan, dtype=dtype)
    known = places >= 0
    values[places[known]] = table[column].to_numpy(dtype=dtype)[known]
    return values.reshape(shape)


def _check_columns(table: pd.DataFrame, names: Iterable[str]) -> None:
    missing = [name for name in names if name not in table]
    if missing:
        raise ConfigError(
            f"the table has no column {', '.join(map(repr, missing))}; there are "
            f"{', '.join(map(str, table.columns))}"
        )


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings as h5ad can hold them: without None."""
    return {str(name): value for name, value in attrs.items() if value is not None}
