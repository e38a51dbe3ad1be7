# SPDX-License-Identifier: BSD-3-Clause
"""Sums of base coverage, as recount3 gives them, recognised: they are not counts of reads.

A sum of coverage counts each read once for every base of it that lies on the gene: some hundred times the
number of reads, without being any more certain, so that no p-value of a model of counts holds for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pydgd.errors import CountsError

# A usual library has 2e7 to 2e8 reads; the coverage of 2e7 reads of 100 bases is 2e9.
_MANY_READS = 5e8
# No mapped read is shorter: below this, coverage comes only from reads that overlap a gene by a few bases.
# Of the genes with reads, 11 to 49 % have fewer in GTEx, TCGA and GEO samples, and 0.1 % of recount3's sums.
_SHORT_READ, _FEW = 20, 0.02
# Fewer genes, such as a panel of bright ones, may all have many reads.
_MIN_GENES = 1_000
REPAIR = (
    "turn them into reads by the mean mapped length of each sample's reads: --coverage-to-reads LENGTH, or "
    "TABLE:COLUMN of metadata (coverage_to_reads= in Python); if they are reads after all, give the length 1"
)


@dataclass(eq=False)
class Coverage:
    """Which samples look like sums of base coverage: too many reads, and hardly a gene with few.

    Attributes:
        n_genes: Columns; with fewer than 1,000 nothing is suspected.
        suspects: For each row so far, whether it looks so.

    Example:
        >>> coverage = Coverage(2_000)
        >>> coverage.add(np.full((1, 2_000), 300_000))
        >>> coverage.suspects
        [True]
    """

    n_genes: int
    suspects: list[bool] = field(default_factory=list)

    def add(self, block: NDArray[Any]) -> None:
        """Look at some samples.

        Args:
            block: Samples × genes, checked.
        """
        if self.n_genes < _MIN_GENES:
            return
        for row, total in zip(block, block.sum(axis=1, dtype=np.float64), strict=True):
            self.suspects.append(bool(total > _MANY_READS) and _hardly_any_few(row))

    def add_csr(self, matrix: Any) -> None:  # noqa: ANN401  # a matrix or an array of scipy.sparse
        """Look at all samples of a sparse matrix.

        Args:
            matrix: In CSR format, with a stored number in each row.
        """
        if self.n_genes < _MIN_GENES:
            return
        totals = np.add.reduceat(matrix.data, matrix.indptr[:-1], dtype=np.float64)
        for row, total in enumerate(totals):
            numbers = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]
            self.suspects.append(bool(total > _MANY_READS) and _hardly_any_few(numbers))

    def refuse(self, samples: Sequence[str], *, are_reads: bool = False) -> None:
        """Raise if more than half of the samples look like coverage.

        Args:
            samples: Names of the rows.
            are_reads: Whether the numbers are known to be reads.

        Raises:
            CountsError: With the repair.
        """
        if not are_reads and 2 * sum(self.suspects) > len(samples):
            raise CountsError(
                f"these look like sums of base coverage, as of recount3, not counts of reads: "
                f"{sum(self.suspects):,} of {len(samples):,} samples (first: "
                f"{samples[self.suspects.index(True)]!r}) have more than {_MANY_READS:.0e} reads and "
                f"hardly a gene with fewer than {_SHORT_READ}. P-values would be meaningless; {REPAIR}"
            )


def _hardly_any_few(numbers: NDArray[Any]) -> bool:
    positive = numbers[numbers > 0]
    return bool((positive < _SHORT_READ).mean() < _FEW)
