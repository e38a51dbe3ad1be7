# SPDX-License-Identifier: BSD-3-Clause
"""From whatever holds counts in memory to one checked AnnData, samples × genes."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from pydgd.data.blocks import AnyMatrix, LazyRows, Matrix, by_rows
from pydgd.data.validation import check_names, validate_counts
from pydgd.errors import ConfigError, CountsError, NamesError

_log = logging.getLogger(__name__)

ARE_READS = "dgd_are_reads"
"""Where `uns` says that counts are known to be reads, however much they look like base coverage."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Counts and labels that are not yet checked; AnnData itself warns of repeated names, we refuse them.

    Attributes:
        matrix: Samples × genes, in memory or on disk.
        obs: Sample names (index) and labels.
        var: Gene names (index) and labels.
        estimated: Whether the numbers are estimates (salmon, RSEM), which are rounded without being asked.
        coverage: Whether they are sums of base coverage rather than reads.
        are_reads: Whether they are known to be reads, so that they need not look like such.
        keep_empty: Whether samples without reads are accepted.
    """

    matrix: Matrix
    obs: pd.DataFrame
    var: pd.DataFrame
    estimated: bool = False
    coverage: bool = False
    are_reads: bool = False
    keep_empty: bool = False

    def checked(self, *, round_counts: bool = False) -> AnnData:
        """Validate and wrap; the matrix is copied only if it is rounded or neither dense nor CSR.

        Args:
            round_counts: As in `as_counts`.
        """
        # What was said once need not be said again when the same data come to a model.
        uns = {ARE_READS: True} if self.are_reads else {}
        return AnnData(self.validated(round_counts=round_counts), obs=self.obs, var=self.var, uns=uns)

    def validated(self, *, round_counts: bool = False) -> Matrix:
        """The matrix once it and the names were checked.

        Args:
            round_counts: As in `as_counts`.
        """
        if getattr(self.matrix, "format", "csr") != "csr":
            # Before it is turned, which takes memory for as many rows as it claims.
            check_names(list(self.obs.index), "sample", self.matrix.shape[0])
        return validate_counts(
            by_rows(self.matrix),
            self.obs.index,
            self.var.index,
            round_counts=round_counts or self.estimated,
            are_reads=self.are_reads,
            keep_empty=self.keep_empty,
        )

    def transposed(self) -> "Parts":
        """The same table turned round."""
        matrix: Any = self.in_memory().matrix
        return replace(self, matrix=matrix.T, obs=self.var, var=self.obs)

    def in_memory(self) -> "Parts":
        """The same with the whole matrix in memory; TooLargeError if it does not fit there."""
        if not isinstance(self.matrix, LazyRows):
            return self
        self.matrix.check_memory()
        return replace(self, matrix=self.matrix[:])


def as_counts(
    data: object,
    *,
    layer: str | None = None,
    round_counts: bool = False,
    sample_names: Iterable[str] | None = None,
    genes: Iterable[str] | None = None,
) -> AnnData:
    """Counts as an AnnData, samples × genes, checked once so that everything after can trust them.

    Args:
        data: AnnData; a DataFrame of samples × genes, whose columns of text become `obs`; or a NumPy array
            or SciPy sparse matrix with `sample_names` and `genes`. Never modified.
        layer: The layer of an AnnData that holds counts, ``"X"`` for X itself. By default
            ``layers["counts"]`` if it is there, else X.
        round_counts: Round fractional values instead of refusing them.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.

    Returns:
        Counts in X with `obs` and `var`. It may be `data` itself or share its memory: treat it as read-only.

    Raises:
        CountsError: If the values are not counts (see `validate_counts`).
        NamesError: If names are missing, empty or repeated.
        ConfigError: If there is no such layer.
        TypeError: If `data` is of another type.

    Example:
        >>> as_counts(np.array([[3, 0], [1, 2]]), sample_names=["S1", "S2"], genes=["TP53", "MYC"])
        AnnData object with n_obs × n_vars = 2 × 2
    """
    parts = _parts(data, _Options(layer, sample_names, genes))
    checked = parts.checked(round_counts=round_counts)
    if isinstance(data, AnnData) and not data.is_view and checked.X is data.X:
        return data
    return checked


def pick_layer(layers: Sequence[str], layer: str | None) -> str:
    """The place of the counts in an AnnData or its file.

    Args:
        layers: Names of the layers there are.
        layer: What the user asked for; None to find out.

    Returns:
        The layer's name, or ``"X"``.

    Raises:
        ConfigError: If there is no such layer.

    Example:
        >>> pick_layer(["counts", "log1p"], None)
        'counts'
    """
    if layer is None:
        return "counts" if "counts" in layers else "X"
    if layer != "X" and layer not in layers:
        raise ConfigError(f"no layer {layer!r}; there is {', '.join(map(repr, ['X', *layers]))}")
    return layer


@dataclass(frozen=True)
class _Options:
    """What the caller said about `data`; each kind of data takes some of it."""

    layer: str | None
    sample_names: Iterable[str] | None
    genes: Iterable[str] | None

    def without_layer(self, data: object) -> None:
        if self.layer is not None:
            raise ConfigError(
                f"layer={self.layer!r}: only AnnData has layers, got {type(data).__name__}; leave it out"
            )

    def without_names(self, data: object) -> None:
        if self.sample_names is not None or self.genes is not None:
            raise ConfigError(
                f"sample_names and genes are for arrays; {type(data).__name__} bears its own names: leave "
                "them out"
            )


@singledispatch
def _parts(data: object, _options: _Options) -> Parts:
    """Matrix and labels of `data`, one function per type."""
    raise TypeError(
        f"counts are a {type(data).__name__}; give AnnData, a DataFrame, a NumPy array or a SciPy sparse "
        "matrix (pydgd.read_counts reads files)"
    )


@_parts.register
def _(data: AnnData, options: _Options) -> Parts:
    options.without_names(data)
    place = pick_layer(list(data.layers), options.layer)
    if place != "X":
        _log.info("counts from layers[%r]", place)
    held = data.to_memory() if data.isbacked else data
    matrix: Any = held.X if place == "X" else held.layers[place]
    if matrix is None:
        raise CountsError("the AnnData has no X; put raw counts there or in layers['counts']")
    # A view's obs is a view too, and would warn when another AnnData takes it over.
    are_reads = bool(held.uns.get(ARE_READS, False))
    return Parts(
        matrix, pd.DataFrame(held.obs, copy=True), pd.DataFrame(held.var, copy=True), are_reads=are_reads
    )


@_parts.register
def _(data: pd.DataFrame, options: _Options) -> Parts:
    options.without_layer(data)
    options.without_names(data)
    table = data.infer_objects() if (data.dtypes == np.dtype(object)).any() else data
    numeric = np.array([_holds_numbers(dtype) for dtype in table.dtypes], dtype=bool)
    _refuse_mixed(table.loc[:, ~numeric])
    counts = table if numeric.all() else table.loc[:, numeric]
    # Nullable integers have no NumPy type; as float64 their gaps become NaN and are refused by name.
    plain = all(isinstance(dtype, np.dtype) for dtype in counts.dtypes)
    matrix = counts.to_numpy() if plain else counts.to_numpy(dtype=np.float64, na_value=np.nan)
    obs = table.loc[:, ~numeric].set_axis(_text(data.index), axis=0)
    if len(obs.columns):
        _log.info("columns without numbers become obs: %s", ", ".join(map(str, obs.columns[:5])))
    return Parts(matrix, obs, pd.DataFrame(index=_text(counts.columns)))


def _refuse_mixed(texts: pd.DataFrame) -> None:
    """A stray word would turn a gene into a label, unseen."""
    for place, name in enumerate(texts.columns):
        given = texts.iloc[:, place].dropna()
        words = np.array([not isinstance(value, Number) for value in given], dtype=bool)
        if words.any() and not words.all():
            sample, word = given.index[words][0], given[words].iloc[0]
            raise CountsError(
                f"sample {str(sample)!r}, gene {str(name)!r} holds {word!r}, not a number; write 0 for no "
                "reads, correct the value, or drop the sample or the gene"
            )


@_parts.register(np.ndarray)
@_parts.register(sparse.spmatrix)
@_parts.register(sparse.sparray)
def _(data: AnyMatrix, options: _Options) -> Parts:
    options.without_layer(data)
    if options.sample_names is None or options.genes is None:
        missing, side = ("sample_names", "row") if options.sample_names is None else ("genes", "column")
        raise NamesError(f"an array bears no names: pass {missing}=[...], one for each {side}")
    return Parts(
        by_rows(data),
        pd.DataFrame(index=_text(options.sample_names)),
        pd.DataFrame(index=_text(options.genes)),
    )


def _holds_numbers(dtype: Any) -> bool:  # noqa: ANN401  # one of pandas or of NumPy
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _text(names: Iterable[Any]) -> pd.Index:
    """Names as text, with a missing name as an empty one, which validation refuses."""
    text: pd.Index = pd.Index(np.array(["" if pd.isna(name) else str(name) for name in names], dtype=object))
    return text
