# SPDX-License-Identifier: BSD-3-Clause
"""What a translation of gene names matched, lost and could not decide."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pydgd.data.genes import GENE_ID_TYPES


@dataclass(frozen=True, eq=False)
class GeneReport:
    """What became of each gene.

    Attributes:
        table: One row per gene of the data, in their order: ``gene``; ``target``, its new name or "";
            ``status``, which is ``matched``, ``summed`` (with others of the same target), ``lost`` or
            ``ambiguous``; ``how`` it was found; ``candidates``, joined by ``|``, if it could be several, or
            the target that another gene has a better claim to; ``reads`` in all samples.
        missing: Wanted genes that the data lack, in their order; empty if a kind of names was wanted.
        n_wanted: How many genes were wanted; with a kind of names, how many were found.
        found_kind: Kind of the names in the data, a key of `pydgd.data.genes.GENE_ID_TYPES`.
        wanted_kind: Kind of the wanted names.
    """

    table: pd.DataFrame
    missing: tuple[str, ...]
    n_wanted: int
    found_kind: str
    wanted_kind: str

    @property
    def n_matched(self) -> int:
        """How many wanted genes the data have."""
        return self.n_wanted - len(self.missing)

    @property
    def n_lost(self) -> int:
        """How many genes of the data mean no wanted one."""
        return self._count("lost")

    @property
    def n_ambiguous(self) -> int:
        """How many genes of the data could mean several wanted ones and are left out."""
        return self._count("ambiguous")

    @property
    def n_summed(self) -> int:
        """How many genes of the data share their target with others."""
        return self._count("summed")

    @property
    def share_of_reads(self) -> float:
        """Share of all reads that are in matched genes; NaN if there are none."""
        reads = self.table["reads"]
        kept = reads[self.table["status"].isin(["matched", "summed"])].sum()
        return float(kept / reads.sum()) if reads.sum() else float(np.nan)

    def counts(self) -> pd.DataFrame:
        """Number of genes and share of reads by ``status`` and ``how``."""
        grouped = (
            self.table.groupby(["status", "how"], sort=False)["reads"].agg(["size", "sum"]).reset_index()
        )
        grouped["share_of_reads"] = grouped["sum"] / max(float(self.table["reads"].sum()), 1.0)
        return (
            grouped.rename(columns={"size": "genes"})
            .drop(columns="sum")
            .sort_values(["status", "how"], ignore_index=True)
        )

    def _count(self, status: str) -> int:
        return int((self.table["status"] == status).sum())

    def __str__(self) -> str:
        kinds = f"{GENE_ID_TYPES[self.found_kind]} to {GENE_ID_TYPES[self.wanted_kind]}"
        shared = self.table.loc[self.table["status"] == "summed", "target"].nunique()
        by_sum = f" ({shared:,} of them from {self.n_summed:,} genes, summed)" if shared else ""
        return (
            f"{kinds}: {self.n_matched:,} of {self.n_wanted:,} genes matched{by_sum}, with "
            f"{self.share_of_reads:.1%} of the reads; {self.n_lost:,} genes of the data lost, "
            f"{self.n_ambiguous:,} ambiguous"
        )
