# SPDX-License-Identifier: BSD-3-Clause
"""Whether a model keeps its word: its p-values on healthy samples, where every call is false."""

import logging
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Float

from pydgd.data import AlignedCounts, CountRows, GeneMatch, count_rows
from pydgd.data.blocks import AnyMatrix
from pydgd.dgd import DGD
from pydgd.inference import ClosestNormal, SearchOptions
from pydgd.stats import CalibrationReport, CalibrationTally, Comparison, compare
from pydgd.words import plural

_log = logging.getLogger(__name__)

# Samples of which counts alone are read at a time.
_ROWS = 64


def calibration_report(
    model: DGD,
    healthy: AnnData | pd.DataFrame | AnyMatrix | CountRows,
    *,
    sample_names: Iterable[str] | None = None,
    genes: Iterable[str] | None = None,
    seed: int = 0,
    min_shared: float = 0.5,
    chunk_size: int | None = None,
    options: SearchOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationReport:
    """Test healthy samples against their closest normals and report what the p-values are like.

    Memory holds some samples at a time and the table of one, as counts of a backed AnnData stay on the disk.

    Args:
        model: The trained model.
        healthy: Counts of healthy samples that training has not seen, samples × genes; a NumPy array or SciPy
            sparse matrix needs both kinds of names.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.
        seed: Decides the random part of the PIT; with the same seed a sample and a gene always get the same.
        min_shared: Share of the model's genes that the samples must have.
        chunk_size: Samples searched at a time; by default as the available memory allows.
        options: How hard to search.
        progress: Called with samples done and samples in all.

    Returns:
        PIT histogram and distance, size, calls and directions, of calibrated p-values (if the model has them)
        and of those of the negative binomial.

    Raises:
        ConfigError: If `chunk_size` or `min_shared` is out of range.
        CountsError: If the counts are not counts.
        GeneMismatchError: If too few genes are shared.
        NamesError: If sample or gene names are missing or repeated.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> healthy = cohort.cases[cohort.cases.obs["kind"] == "unchanged"]
        >>> report = calibration_report(DGD.fit(cohort.normals, latent_dim=4, epochs=5), healthy)
        >>> report.kinds, report.n_samples
        (['calibrated', 'negative binomial'], 16)
    """
    rows = count_rows(healthy, sample_names=sample_names, genes=genes)
    normals = model.closest_normal_chunks(
        rows, chunk_size=chunk_size, min_shared=min_shared, options=options, progress=progress
    )
    _warn_of_training_samples(model, rows)
    match = GeneMatch(model.genes, rows.var.index.get_indexer(pd.Index(model.genes)), n_dropped=0)
    tally = CalibrationTally(_mean_counts(rows, match)[match.measured], seed=seed)
    first = 0
    for normal in normals:
        last = first + len(normal.sample_names)
        tally.add(_compare(match.align(rows.read(first, last)), normal))
        first = last
    return tally.report()


def _compare(counts: AlignedCounts, normal: ClosestNormal) -> Comparison:
    return compare(
        counts.counts,
        normal.means,
        normal.r,
        sample_names=normal.sample_names,
        genes=normal.genes,
        measured=normal.measured,
        log_mean_variance=normal.log_mean_variance,
        departure=0.0 if normal.departure is None else normal.departure,
        null=normal.null,
    )


def _mean_counts(rows: CountRows, match: GeneMatch) -> Float[np.ndarray, " genes"]:
    """Mean reads of the model's genes over all samples, 0 where they are not measured."""
    total = np.zeros(len(match.genes))
    for first in range(0, rows.n_obs, _ROWS):
        part = rows.read(first, min(first + _ROWS, rows.n_obs))
        total += match.align(part).counts.sum(axis=0, dtype=np.float64)
    return total / rows.n_obs


def _warn_of_training_samples(model: DGD, rows: CountRows) -> None:
    seen = rows.obs.index.intersection(list(model.record.sample_names))
    if len(seen):
        _log.warning(
            "%s of %d have the names of training samples (first: %r); the model knows these too well for a "
            "fair report: leave them out",
            plural(len(seen), "sample"),
            rows.n_obs,
            seen[0],
        )
