# SPDX-License-Identifier: BSD-3-Clause
"""What the page holds about each sample: words for people, packed numbers for the plots and the table."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.differential import differential_expression
from pydgd.inference import ClosestNormal
from pydgd.inference.flags import Limit
from pydgd.plotting.genes import Calls
from pydgd.report.packing import packed
from pydgd.report.verdict import Verdict
from pydgd.stats import check_thresholds
from pydgd.tl import over_representation
from pydgd.tl.gene_set_files import GeneSets

_LN10 = float(np.log(10.0))
_MOST_SETS = 50

COLUMNS = {
    "observed": 23,
    "baseMean": 12,
    "log2FoldChange": 12,
    "lfcSE": 9,
    "log10_pvalue": 15,
    "log10_padj": 15,
}
"""Columns of the packed numbers, with the binary digits kept: reads to the last, others to 3 to 5 figures."""


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What counts as a call when the page opens.

    Attributes:
        padj: Adjusted p-value that a call stays below, in (0, 1].
        log2fc: Smallest absolute log2 fold change of a call, at least 0.

    Raises:
        ConfigError: If one is out of range.
    """

    padj: float = 0.05
    log2fc: float = 1.0

    def __post_init__(self) -> None:
        check_thresholds(padj=self.padj, log2fc=self.log2fc)


@dataclass(frozen=True, eq=False)
class SampleEntry:
    """One sample in the page.

    Attributes:
        name: The sample's.
        verdict: What its fit says.
        fit: Its row of `ClosestNormal.fit`.
        n_up: Genes called up at the first thresholds.
        n_down: Genes called down.
        representation: Its place in latent space.
        numbers: `COLUMNS`, packed.
        sets: Gene sets with calls in them, the surest first; None if no sets were given.
    """

    name: str
    verdict: Verdict
    fit: pd.Series
    n_up: int
    n_down: int
    representation: np.ndarray
    numbers: str
    sets: pd.DataFrame | None


class Samples:
    """Samples gathered chunk by chunk, so that memory holds the full tables of a few only.

    Args:
        limits: Beyond which misfit and distance there is no close normal.
        thresholds: What counts as a call.
        gene_sets: Set → genes, to look for calls in; None for none.
        testing: Arguments of `pydgd.differential_expression`.
    """

    def __init__(
        self,
        limits: tuple[Limit, Limit] | None,
        thresholds: Thresholds,
        gene_sets: GeneSets | None,
        testing: dict[str, Any],
    ) -> None:
        self._limits, self._thresholds = limits, thresholds
        self._gene_sets, self._testing = gene_sets, testing
        self._hash = hashlib.sha256()
        self.entries: list[SampleEntry] = []
        self.settings: Mapping[Any, Any] = {}
        self.search: dict[str, Any] = {}

    def add(self, pairs: Iterable[tuple[AnnData, ClosestNormal]]) -> None:
        """Test samples against their closest normals and keep what the page needs.

        Args:
            pairs: Counts and closest normals of some samples at a time.
        """
        for counts, normal in pairs:
            self._add_hash(counts)
            table = differential_expression(counts, normal, **self._testing)
            self.settings, self.search = table.attrs, normal.provenance
            # In the samples' order: every sample has all genes.
            n_genes = len(normal.genes)
            for row in range(len(normal.sample_names)):
                genes = table.iloc[row * n_genes : (row + 1) * n_genes]
                self.entries.append(self._entry(genes, normal, row))

    @property
    def counts_sha256(self) -> str:
        """Hash of sample names, gene names and counts, whatever file they came from."""
        return self._hash.hexdigest()

    def _add_hash(self, counts: AnnData) -> None:
        if not self.entries:
            self._hash.update("\n".join(map(str, counts.var_names)).encode())
        for name, row in zip(counts.obs_names, counts.X, strict=True):
            reads = row.toarray().ravel() if hasattr(row, "toarray") else np.asarray(row).ravel()
            self._hash.update(f"\n{name}\n".encode() + reads.astype("<f8").tobytes())

    def _entry(self, genes: pd.DataFrame, normal: ClosestNormal, row: int) -> SampleEntry:
        calls = Calls.of(genes, padj=self._thresholds.padj, log2fc=self._thresholds.log2fc)
        fit = normal.fit.iloc[row]
        return SampleEntry(
            name=normal.sample_names[row],
            verdict=Verdict.of(fit, self._limits),
            fit=fit,
            n_up=int(calls.up.sum()),
            n_down=int(calls.down.sum()),
            representation=normal.representations[row],
            numbers=packed(_numbers(genes), bits=tuple(COLUMNS.values()), edges=self._edges()),
            sets=None if self._gene_sets is None else self._sets(genes, self._gene_sets),
        )

    def _edges(self) -> tuple[float, ...]:
        """Sizes at which a gene is called, which rounding must not cross: the page counts calls again."""
        sizes = {
            "log2FoldChange": self._thresholds.log2fc,
            # A call has less than the threshold, so more than its logarithm's size.
            "log10_padj": float(np.nextafter(-np.log10(self._thresholds.padj), np.inf)),
        }
        return tuple(sizes.get(name, np.nan) for name in COLUMNS)

    def _sets(self, genes: pd.DataFrame, gene_sets: GeneSets) -> pd.DataFrame:
        """The surest sets that hold a call."""
        own = genes.assign(sample=genes["sample"].cat.remove_unused_categories())
        found = over_representation(
            own, gene_sets, padj=self._thresholds.padj, log2fc=self._thresholds.log2fc
        )
        return found[found["n_overlap"] > 0].head(_MOST_SETS)


def _numbers(genes: pd.DataFrame) -> np.ndarray:
    """`COLUMNS` of one sample, columns × genes."""
    logs = {"log10_pvalue": genes["log_pvalue"] / _LN10, "log10_padj": np.log10(genes["padj"])}
    return np.stack([(logs[name] if name in logs else genes[name]).to_numpy(dtype=float) for name in COLUMNS])
