# SPDX-License-Identifier: BSD-3-Clause
"""Sums of base coverage divided by the mean mapped length of a sample's reads: reads again."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from pydgd.data.blocks import LazyRows
from pydgd.data.counts import Parts
from pydgd.data.delimited import text_stream
from pydgd.data.formats import OPENERS, detect_format
from pydgd.data.reading import Lengths
from pydgd.data.strict_csv import read_strict
from pydgd.data.tables import compact
from pydgd.errors import ConfigError, FileFormatError

_log = logging.getLogger(__name__)

_COLUMNS = (
    "recount_qc.star.average_mapped_length",
    "star.average_mapped_length",
    "average_mapped_length",
    "avg_mapped_read_length",
)


def coverage_to_reads(adata: AnnData, lengths: Lengths) -> AnnData:
    """Turn sums of base coverage into counts of reads: coverage over mean mapped length, rounded.

    With the length of recount3's metadata (``star.average_mapped_length``, both mates together) these are
    fragments, as recount3's own ``compute_read_counts`` gives them.

    Args:
        adata: Sums of base coverage, samples × genes.
        lengths: Mean mapped length in bases: a number, or one for each sample as a mapping or Series by name,
            the name of a column of `obs`, or ``"TABLE:COLUMN"`` (see `mapped_lengths`).

    Returns:
        New, checked counts with the labels of `adata`.

    Raises:
        ConfigError: If a length is missing or not positive.
        CountsError: If the results are not counts.

    Example:
        >>> coverage = AnnData(np.array([[300.0, 151.0]]), var=pd.DataFrame(index=["TP53", "MYC"]))
        >>> coverage_to_reads(coverage, 100).to_df().to_dict("list")
        {'TP53': [3], 'MYC': [2]}
    """
    parts = Parts(adata.X, pd.DataFrame(adata.obs, copy=True), pd.DataFrame(adata.var, copy=True))
    return in_reads(parts, lengths).in_memory().checked()


def in_reads(parts: Parts, lengths: Lengths) -> Parts:
    """The same for counts that are not yet checked and may be on disk.

    Args:
        parts: Sums of base coverage.
        lengths: As in `coverage_to_reads`.
    """
    per_sample = mapped_lengths(lengths, parts.obs)
    _log.info(
        "reads are base coverage over mean mapped lengths (median %.1f bases), rounded", np.median(per_sample)
    )
    matrix = LazyRows.of(parts.matrix).mapped(
        lambda block, rows: _divided(block, per_sample[rows]),
        n_columns=parts.matrix.shape[1],
        dtype=np.dtype(np.float64),
    )
    reads = replace(parts, matrix=matrix, coverage=False, are_reads=True)
    if isinstance(parts.matrix, LazyRows):
        return reads
    whole: Any = reads.in_memory().matrix
    return replace(reads, matrix=compact(whole) if isinstance(whole, np.ndarray) else whole)


def _divided(block: Any, lengths: NDArray[np.float64]) -> Any:  # noqa: ANN401  # array or CSR
    if not hasattr(block, "toarray"):
        reads = block / lengths[:, None]
        np.rint(reads, out=reads)
        # Not rounded to 0, so that it is refused.
        np.copyto(reads, block, where=block < 0)
        return reads
    reads = sparse.csr_matrix(block, dtype=np.float64, copy=True)
    reads.data /= np.repeat(lengths, np.diff(reads.indptr))
    np.rint(reads.data, out=reads.data, where=reads.data > 0)
    reads.eliminate_zeros()
    return reads


def mapped_lengths(lengths: Lengths, obs: pd.DataFrame) -> NDArray[np.float64]:
    """The mean mapped length of each sample.

    Args:
        lengths: A number for all; a mapping or Series by sample; or text: a number, a column of `obs`,
            ``"TABLE"`` or ``"TABLE:COLUMN"``. A table is CSV or TSV; its rows are found by the column that
            holds the samples' names; its column is by default recount3's ``star.average_mapped_length``.
        obs: Names and labels of the samples.

    Raises:
        ConfigError: If a sample has no length, or one that is not above 0.
        FileFormatError: If the table cannot be read.

    Example:
        >>> mapped_lengths("101", pd.DataFrame(index=["S1", "S2"]))
        array([101., 101.])
    """
    if isinstance(lengths, str | PathLike):
        lengths = _from_text(str(lengths), obs)
    if isinstance(lengths, Mapping | pd.Series):
        given = pd.Series(lengths)
        given.index = given.index.astype(str)
        values = pd.to_numeric(given[~given.index.duplicated()], errors="coerce").reindex(
            obs.index.astype(str)
        )
    else:
        values = pd.Series(_number(lengths), index=obs.index)
    bad = ~(np.isfinite(values.to_numpy(float)) & (values.to_numpy(float) > 0))
    if bad.any():
        sample, value = values.index[bad][0], values[bad].iloc[0]
        raise ConfigError(
            f"{bad.sum():,} of {len(values):,} samples have no mean mapped length above 0 (first: "
            f"{sample!r}, {value}); give one for each, or a number for all, in bases"
        )
    return np.asarray(values, dtype=np.float64)


def _number(length: object) -> float:
    if isinstance(length, Real):
        return float(length)
    raise ConfigError(
        f"coverage_to_reads is a {type(length).__name__}; give a number, or a mapping or Series by sample"
    )


def _from_text(text: str, obs: pd.DataFrame) -> float | pd.Series:
    try:
        return float(text)
    except ValueError:
        pass
    if text in obs.columns:
        return obs[text]
    name, _, column = (text, "", "") if Path(text).is_file() else text.rpartition(":")
    if not name or not Path(name).is_file():
        raise ConfigError(
            f"coverage_to_reads is {text!r}: neither a number of bases, nor a column of the samples' labels "
            f"({', '.join(map(str, obs.columns[:8])) or 'there are none'}), nor a file TABLE:COLUMN"
        )
    return _column(_table(Path(name)), name, column, obs)


def _table(path: Path) -> pd.DataFrame:
    kind = detect_format(path)
    if kind not in OPENERS:
        raise FileFormatError(f"{path}: a table of mapped lengths is text; write it as CSV or TSV")
    with text_stream(path, kind) as stream:
        text = stream.read()
    separator = max("\t,;", key=text.partition("\n")[0].count)
    try:
        return read_strict(StringIO(text), separator, dtype=str)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: cannot be read as a table ({reason}); write it again") from error


def _column(table: pd.DataFrame, path: str, column: str, obs: pd.DataFrame) -> pd.Series:
    """A column of metadata by sample."""
    found = column or next((name for name in _COLUMNS if name in table), None)
    if found not in table:
        raise ConfigError(
            f"{path}: no column {column or ' or '.join(_COLUMNS[:2])!r} among "
            f"{', '.join(map(str, table.columns[:12]))}; name it: TABLE:COLUMN"
        )
    samples = obs.index.astype(str)
    named = (key for key in table.columns if samples.isin(table[key].astype(str)).all())
    key = next(named, None)
    if key is None:
        raise ConfigError(
            f"{path}: no column holds the names of all samples (e.g. {samples[0]!r}); add one, or give "
            "another table"
        )
    return table.set_index(table[key].astype(str))[found]
