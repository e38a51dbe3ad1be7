# SPDX-License-Identifier: BSD-3-Clause
"""Counts of named samples and genes beside what a model expects, checked once, complaints with names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.errors import CountsError, GeneMismatchError, NamesError
from pydgd.stats.arguments import LARGEST, FloatArray, Numbers
from pydgd.stats.calibrated import NullModel

_Mask = NDArray[np.bool_]
_Matrix = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """N samples and G genes; matrices are views of what the caller gave, in its element type.

    Attributes:
        counts: Reads, ``(N, G)``.
        mu: Expected reads, ``(N, G)``.
        r: Inverse dispersion, ``(N, G)``, inf for Poisson.
        log_mean_variance: Variance of ln mu, ``(N, G)``.
        samples: Sample names.
        genes: Gene names.
        measured: Genes that the samples have counts of, ``(G,)``.
        listed: Genes of the user's list, ``(G,)``; all of them if there is none.
        departure: Log variance by which each sample departs in every gene, ``(N,)``.
        null: How residuals of healthy samples are distributed; None to go by the negative binomial.
    """

    counts: _Matrix
    mu: _Matrix
    r: _Matrix
    log_mean_variance: _Matrix
    samples: pd.CategoricalDtype
    genes: pd.CategoricalDtype
    measured: _Mask
    listed: _Mask
    departure: FloatArray
    null: NullModel | None = None

    def row(self, matrix: _Matrix, sample: int) -> FloatArray:
        """One sample's values of the measured genes in one of the matrices, as float64."""
        return np.asarray(matrix[sample, self.measured], dtype=np.float64)


def compare(
    counts: Numbers,
    mu: Numbers,
    r: Numbers | None,
    *,
    sample_names: Iterable[str],
    genes: Iterable[str],
    measured: Numbers | None = None,
    log_mean_variance: Numbers | None = None,
    gene_list: Iterable[str] | None = None,
    departure: Numbers = 0.0,
    null: NullModel | None = None,
) -> Comparison:
    """Check shapes, names and values; arguments as for `differential_expression_table`.

    Raises:
        ValueError: If shapes do not fit, or a mean, r or variance is outside its range.
        CountsError: If there are no counts, or one is negative, fractional or not finite.
        NamesError: If sample or gene names are missing or repeated.
        GeneMismatchError: If `gene_list` holds a gene that `genes` does not.

    Example:
        >>> compare([[1, 2]], [[1.0, 2.0]], None, sample_names=["T1"], genes=["A", "B"]).measured
        array([ True,  True])
    """
    shape = np.shape(counts)
    if len(shape) != 2:
        raise ValueError(f"counts has the shape {shape}; allowed is (samples, genes).")
    if 0 in shape:
        raise CountsError(f"counts has the shape {shape}: nothing to compare. It takes a sample and a gene.")
    checked_genes = _names("genes", genes, shape[1])
    result = Comparison(
        counts=np.asarray(counts),
        mu=_matrix("mu", mu, shape),
        r=_matrix("r", np.inf if r is None else r, shape),
        log_mean_variance=_matrix(
            "log_mean_variance", 0.0 if log_mean_variance is None else log_mean_variance, shape
        ),
        samples=_names("sample_names", sample_names, shape[0]),
        genes=checked_genes,
        measured=_mask(measured, shape[1]),
        listed=_listed(gene_list, checked_genes.categories),
        departure=_departures(departure, shape[0]),
        null=null,
    )
    _check_values(result)
    return result


def _matrix(name: str, values: Numbers, shape: tuple[int, ...]) -> _Matrix:
    array = np.asarray(values)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name} has the shape {array.shape}, counts has {shape}; the two do not fit."
        ) from None


def _departures(values: Numbers, n_samples: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in ((), (n_samples,)) or not ((array >= 0) & (array < np.inf)).all():
        raise ValueError(
            f"departure has the shape {array.shape}; allowed is one finite value >= 0, or one for each of "
            f"{n_samples} samples."
        )
    return np.broadcast_to(array, (n_samples,))


def _names(argument: str, names: Iterable[str], n: int) -> pd.CategoricalDtype:
    index = pd.Index(list(names), dtype=object)
    if len(index) != n:
        raise NamesError(
            f"{argument} has {len(index)} names, counts has {n}. Give one name each, in the order of counts."
        )
    if not index.is_unique:
        repeated = index[index.duplicated()].unique()
        raise NamesError(
            f"{argument} repeats {len(repeated)} of {index.nunique()} names (first: {_first(repeated)}). "
            "Add up or rename what shares a name."
        )
    return pd.CategoricalDtype(index)


def _first(names: "pd.Index[str]") -> str:
    return ", ".join(map(str, names[:3]))


def _mask(measured: Numbers | None, n_genes: int) -> _Mask:
    mask = np.ones(n_genes, dtype=bool) if measured is None else np.asarray(measured)
    if mask.shape != (n_genes,) or mask.dtype != bool:
        raise ValueError(
            f"measured has the shape {mask.shape} and type {mask.dtype}; "
            f"allowed is one bool for each of {n_genes} genes."
        )
    return mask


def _listed(gene_list: Iterable[str] | None, genes: "pd.Index[str]") -> _Mask:
    if gene_list is None:
        return np.ones(len(genes), dtype=bool)
    wanted = pd.Index(list(gene_list), dtype=object)
    unknown = wanted.difference(genes, sort=False)
    if len(unknown):
        raise GeneMismatchError(
            f"genes lacks {len(unknown)} of {len(wanted)} genes of gene_list (first: {_first(unknown)}). "
            f"They are called like {genes[0]!r}; leave out those that the model does not have."
        )
    return np.asarray(genes.isin(wanted))


def _check_values(comparison: Comparison) -> None:
    """Row by row, so that no temporary is as large as the matrices."""
    checks: tuple[tuple[str, Callable[[FloatArray], _Mask], type[ValueError], str], ...] = (
        ("counts", lambda x: (x >= 0) & (x <= LARGEST) & (x == np.rint(x)), CountsError,
         "whole numbers >= 0 and below 2**53; round estimated counts first"),
        ("mu", lambda x: (x >= 0) & (x <= LARGEST), ValueError, "values >= 0 and below 2**53"),
        ("r", lambda x: x > 0, ValueError, "values > 0, inf for Poisson; it is 1/alpha, not its logarithm"),
        ("log_mean_variance", lambda x: (x >= 0) & (x < np.inf), ValueError, "finite values >= 0"),
    )  # fmt: skip
    genes = comparison.genes.categories[comparison.measured]
    for sample, sample_name in enumerate(comparison.samples.categories):
        for name, allowed, error, range_ in checks:
            row = comparison.row(getattr(comparison, name), sample)
            bad = np.flatnonzero(~allowed(row))
            if bad.size:
                raise error(
                    f"{name} of sample {sample_name!r} has {bad.size} values that are not allowed, the first "
                    f"{row[bad[0]]} for gene {genes[bad[0]]!r}; allowed are {range_}."
                )
