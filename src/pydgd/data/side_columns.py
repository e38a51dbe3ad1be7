# SPDX-License-Identifier: BSD-3-Clause
"""Numbers in a table that are no counts: facts of genes, labels of samples, reads that were not counted."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pydgd.data.counts import Parts
from pydgd.data.genes import gene_id_type
from pydgd.data.pipelines.recognise import TALLIES

_log = logging.getLogger(__name__)

# Numbers that describe a gene and would otherwise pass for a sample (featureCounts, GENCODE tables).
_GENE_FACTS = frozenset(
    {"length", "gene_length", "effective_length", "start", "end", "width", "strand", "start_position"}
    | {"end_position", "gc_content", "percentage_gene_gc_content", "transcript_count"}
)
# Numbers that describe a sample and would otherwise pass for a gene; no gene of man or mouse is called so.
_SAMPLE_FACTS = frozenset(
    {
        "age",
        "age_at_diagnosis",
        "age_years",
        "sex",
        "gender",
        "batch",
        "rin",
        "bmi",
        "height",
        "weight",
        "stage",
    }
    | {"grade", "status", "event", "time", "days", "year", "dose", "replicate", "group", "cluster", "label"}
    | {"os_time", "os_status", "pfs_time", "survival", "survival_time", "days_to_death", "time_to_event"}
    | {"depth", "library_size", "lib_size", "n_reads", "total_reads", "total_counts", "n_counts", "n_genes"}
    | {"n_genes_by_counts", "pct_counts_mt", "purity", "ischemic_time", "pmi", "read_length", "plate", "lane"}
)


def without_side_columns(parts: Parts, *, genes: frozenset[str] = frozenset()) -> Parts:
    """Move numbers that are no counts out of the matrix of a table, by their names.

    Args:
        parts: Counts of a table, in memory.
        genes: Genes of a model; none of them is moved.

    Returns:
        Facts of genes are in `var`, labels of samples in `obs`, and rows such as ``__no_feature`` are gone;
        what was done is logged. Names that are unlike the others' ids are logged as a warning and stay, and
        so does a sample that is the sum of the others.
    """
    parts = _without_samples(parts)
    names = parts.var.index
    facts = _among(names, lambda name: name.lower() in _SAMPLE_FACTS and name not in genes)
    tallies = _among(names, lambda name: name in TALLIES)
    if facts.any():
        _log.warning(
            "columns of numbers that describe samples, not genes, put in obs: %s", ", ".join(names[facts])
        )
    if tallies.any():
        _log.info("reads that were not counted, left out: %s", ", ".join(names[tallies]))
    matrix: Any = parts.matrix
    obs = parts.obs.assign(**{name: matrix[:, place] for place, name in enumerate(names) if facts[place]})
    kept = ~(facts | tallies)
    if not kept.all():
        parts = replace(parts, matrix=matrix[:, kept], obs=obs, var=parts.var[kept])
    _warn_of_strangers(parts.var.index, genes)
    _warn_of_totals(parts)
    return parts


def _among(names: pd.Index, meant: Callable[[str], bool]) -> np.ndarray:
    return np.array([meant(str(name)) for name in names], dtype=bool)


def _without_samples(parts: Parts) -> Parts:
    """Move what describes genes from the samples to `var`."""
    names = parts.obs.index
    facts = _among(names, lambda name: re.sub(r"[ .]", "_", name.lower()) in _GENE_FACTS)
    if not facts.any() or facts.all():
        return parts
    matrix: Any = parts.matrix
    found = {str(name): matrix[row] for row, name in enumerate(names) if facts[row]}
    return replace(parts, matrix=matrix[~facts], obs=parts.obs[~facts], var=parts.var.assign(**found))


def _warn_of_strangers(names: pd.Index, genes: frozenset[str]) -> None:
    """Among Ensembl ids a name of another kind may be a label; spike-ins and transgenes are such too."""
    if not gene_id_type(names).startswith("ensembl"):
        return
    strange = [str(name) for name in names if not str(name).startswith(("ENS", "ERCC")) and name not in genes]
    if strange:
        _log.warning(
            "%d columns hold numbers but bear no Ensembl id as the others do (first: %s); they are taken "
            "for genes: drop them if they are labels",
            len(strange),
            ", ".join(strange[:3]),
        )


@np.errstate(over="ignore", invalid="ignore")  # infinite counts are refused by name, later
def _warn_of_totals(parts: Parts) -> None:
    """A column of sums passes for a sample; of two samples each is the sum of the other if they are alike."""
    matrix: Any = parts.matrix
    reads, sums = matrix.sum(axis=1, dtype=np.float64), matrix.sum(axis=0, dtype=np.float64)
    if np.count_nonzero(reads) < 3:
        return
    for row in np.flatnonzero(2 * reads == reads.sum()):
        if np.array_equal(2.0 * matrix[row], sums):
            _log.warning(
                "%r has the sum of all other samples' counts for every gene; it is taken for a sample: drop "
                "it if it is a total",
                str(parts.obs.index[int(row)]),
            )
