# SPDX-License-Identifier: BSD-3-Clause
"""Counts brought to the genes of a model or list, with samples judged before any work is done on them."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.data.align import match_genes
from pydgd.data.blocks import by_rows, row_blocks
from pydgd.errors import ConfigError, CountsError

_log = logging.getLogger(__name__)

MASK = "dgd_genes"
"""Where in `uns` it is recorded which of the wanted genes were measured."""


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """Counts of the samples that are kept, and what became of all.

    Attributes:
        counts: Kept samples × those of the wanted genes that were measured, in the wanted order; sparse if
            they were. ``uns["dgd_genes"]`` is `genes`.
        samples: One row per sample of the data: ``sample``; ``reads``, of all its genes; ``reads_used``,
            of the wanted ones; ``detected_genes``, wanted ones with reads; ``duplicate_of``, an earlier
            sample with the same counts, or ""; ``kept``; and ``reason`` why it is not.
        genes: The wanted genes (index) and whether each was ``measured``. **A gene that was not is unknown,
            not 0**: it is left out of the counts, and a model masks it.
        n_dropped_genes: How many genes of the data were not wanted.
    """

    counts: AnnData
    samples: pd.DataFrame
    genes: pd.DataFrame
    n_dropped_genes: int


def preprocess(
    adata: AnnData,
    genes: Iterable[str] | None = None,
    *,
    min_reads: int = 0,
    min_genes: int = 0,
    drop_duplicates: bool = False,
    min_shared: float = 0.5,
) -> Preprocessed:
    """Bring counts to a list of genes and drop samples that cannot be used.

    Samples without reads in these genes are always dropped; others by the options, and what would be worth a
    look is reported in any case.

    Args:
        adata: Checked counts, as `pydgd.read_counts` gives them; samples without reads are allowed.
        genes: Genes of a model, or any list without repeats; None keeps those of the data.
        min_reads: Drop samples with fewer reads in all.
        min_genes: Drop samples in which fewer of the wanted genes have reads.
        drop_duplicates: Drop samples with the same counts as an earlier one.
        min_shared: Share of `genes` that the data must have.

    Returns:
        Counts, a table of samples, and a mask of genes.

    Raises:
        GeneMismatchError: If too few genes are shared.
        CountsError: If no sample is left.
        ConfigError: If an option is out of range.

    Example:
        >>> obs, var = pd.DataFrame(index=["S1", "S2"]), pd.DataFrame(index=["MYC", "TP53", "FGR"])
        >>> found = preprocess(AnnData(np.array([[3, 0, 1], [0, 0, 5]]), obs, var), ["TP53", "MYC", "KRAS"])
        >>> found.counts.to_df().to_dict("list"), found.genes.query("not measured").index.tolist()
        ({'TP53': [0], 'MYC': [3]}, ['KRAS'])
        >>> found.samples[["sample", "reads", "reads_used", "reason"]].values.tolist()
        [['S1', 4, 3, ''], ['S2', 5, 0, 'no reads in the wanted genes']]
    """
    for name, value in (("min_reads", min_reads), ("min_genes", min_genes)):
        if value < 0:
            raise ConfigError(f"{name} is {value}; give 0 or more")
    wanted = list(adata.var_names if genes is None else genes)
    match = match_genes(adata, wanted, min_shared=min_shared)
    matrix: Any = by_rows(adata.X)
    used = matrix[:, match.places[match.measured]]
    samples = _described(adata, matrix, used)
    samples["reason"] = _reasons(samples, min_reads, min_genes, drop_duplicates=drop_duplicates)
    samples.insert(len(samples.columns) - 1, "kept", samples["reason"] == "")
    kept = samples["kept"].to_numpy()
    if not kept.any():
        raise CountsError(
            f"no sample is left of {len(samples)} (first: {samples['sample'].iloc[0]!r}, "
            f"{samples['reason'].iloc[0]}); loosen the conditions"
        )
    _report(samples)
    mask = pd.DataFrame({"measured": match.measured}, index=pd.Index(match.genes, name="gene"))
    counts = AnnData(
        used[kept],
        obs=adata.obs[kept].copy(),
        var=adata.var.iloc[match.places[match.measured]].copy(),
        uns={MASK: mask},
    )
    return Preprocessed(counts, samples, mask, match.n_dropped)


def _described(adata: AnnData, matrix: Any, used: Any) -> pd.DataFrame:  # noqa: ANN401  # array or CSR
    names = adata.obs_names.astype(str)
    reads = [block.sum(axis=1, dtype=np.float64) for _, block in row_blocks(matrix)]
    facts = list(_rows(used))
    first: dict[bytes, str] = {}
    # A sample without reads is like any other without, which says nothing.
    twins = [
        first.setdefault(digest, name) if total else name
        for name, (total, _, digest) in zip(names, facts, strict=True)
    ]
    return pd.DataFrame(
        {
            "sample": names,
            "reads": np.concatenate(reads).astype(np.int64),
            "reads_used": np.array([total for total, _, _ in facts], dtype=np.int64),
            "detected_genes": [detected for _, detected, _ in facts],
            "duplicate_of": ["" if twin == name else twin for twin, name in zip(twins, names, strict=True)],
        }
    )


def _rows(used: Any) -> Iterator[tuple[float, int, bytes]]:  # noqa: ANN401  # array or CSR
    """Of each sample: reads, genes with reads, and a digest of all."""
    for _, block in row_blocks(used):
        for row in block.astype(np.float64):
            digest = hashlib.blake2b(np.ascontiguousarray(row).tobytes()).digest()
            yield float(row.sum()), int(np.count_nonzero(row)), digest


def _reasons(samples: pd.DataFrame, min_reads: int, min_genes: int, *, drop_duplicates: bool) -> NDArray[Any]:
    """Why each sample is dropped; the first that holds, or nothing."""
    conditions = {
        "no reads": samples["reads"] == 0,
        "no reads in the wanted genes": samples["reads_used"] == 0,
        f"fewer than {min_reads:,} reads": samples["reads"] < min_reads,
        f"fewer than {min_genes:,} genes with reads": samples["detected_genes"] < min_genes,
        "same counts as an earlier sample": (samples["duplicate_of"] != "") & drop_duplicates,
    }
    reasons = np.full(len(samples), "", dtype=object)
    for reason, holds in reversed(conditions.items()):
        reasons[holds.to_numpy()] = reason
    return reasons


def _report(samples: pd.DataFrame) -> None:
    for reason, dropped in samples[~samples["kept"]].groupby("reason"):
        _log.warning("%d samples dropped: %s (first: %s)", len(dropped), reason, dropped["sample"].iloc[0])
    twins = samples[samples["kept"] & (samples["duplicate_of"] != "")]
    if len(twins):
        _log.warning(
            "%d samples have the same counts as an earlier one (first: %s, as %s); --drop-duplicates "
            "drops them",
            len(twins),
            twins["sample"].iloc[0],
            twins["duplicate_of"].iloc[0],
        )
