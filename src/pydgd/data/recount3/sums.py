# SPDX-License-Identifier: BSD-3-Clause
"""Sums of base coverage by gene, and the reads that they stand for."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pydgd.errors import CountsError, FileFormatError

# A line of 3,000 samples has some 30 kB; a block must hold at least one.
_BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class GeneSums:
    """Sums of base coverage: **not read counts**.

    Attributes:
        coverage: Samples × genes, int64.
        samples: Their names.
        genes: Ids as the annotation has them.
    """

    coverage: NDArray[np.int64]
    samples: tuple[str, ...]
    genes: tuple[str, ...]

    def reads(self, mapped_length: NDArray[np.float64]) -> NDArray[np.int32]:
        """Reads by gene, rounded: coverage over the mean mapped length.

        Every base of a mapped read adds one to the coverage of its gene, so that a gene's sum is the number
        of reads times their mapped length. For pairs STAR's mean mapped length is that of both mates
        together, and what comes out are pairs (fragments); nothing is halved.

        Args:
            mapped_length: STAR's mean mapped length of each sample
                (``recount_qc.star.average_mapped_length``), above 0.

        Raises:
            CountsError: If a length is missing or not above 0.

        Source:
            `compute_read_counts` of recount3's R package; Collado-Torres et al. (2017), F1000Research 6:1558.

        Example:
            >>> GeneSums(np.array([[760, 30]]), ("S1",), ("g1", "g2")).reads(np.array([76.0]))
            array([[10,  0]], dtype=int32)
        """
        wrong = [name for name, length in zip(self.samples, mapped_length, strict=True) if not length > 0]
        if wrong:
            raise CountsError(
                f"no mean mapped length for {len(wrong)} samples (first: {wrong[0]}), so their reads cannot "
                "be computed; leave them out"
            )
        reads = np.empty(self.coverage.shape, dtype=np.int32)
        # All at once would take two copies in float64.
        for row, length in enumerate(mapped_length):
            reads[row] = np.rint(self.coverage[row] / length)
        return reads


def read_gene_sums(path: Path, samples: Sequence[str] | None = None) -> GeneSums:
    """Read a file of gene sums: lines of notes (``##``), a header, one gene per line.

    Args:
        path: Tab-separated text, gzipped.
        samples: Those that are wanted; by default all.

    Raises:
        FileFormatError: If it is no such file, is cut off, or lacks a sample.
    """
    header, n_notes = _header(path)
    if len(header) < 2 or header[0] != "gene_id":
        raise FileFormatError(
            f"{path}: expected recount3's gene sums (a header gene_id, then samples), got the header "
            f"{' '.join(header[:4])[:80]!r}; delete the file and run again"
        )
    wanted = header[1:] if samples is None else list(samples)
    lacking = sorted(set(wanted) - set(header))
    if lacking:
        raise FileFormatError(
            f"{path}: {len(lacking)} samples of the metadata have no gene sums (first: {lacking[0]}); "
            "leave them out"
        )
    try:
        table = csv.read_csv(
            pa.input_stream(path, compression="gzip"),
            read_options=csv.ReadOptions(skip_rows=n_notes, block_size=_BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.int64() for name in header[1:]} | {"gene_id": pa.string()},
                include_columns=["gene_id", *wanted],
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path}: the gene sums are truncated or damaged ({reason}); delete the file and run again"
        ) from error
    coverage = np.empty((len(wanted), table.num_rows), dtype=np.int64)
    for row, name in enumerate(wanted):
        coverage[row] = table.column(name).to_numpy()
    return GeneSums(coverage, tuple(wanted), tuple(table.column("gene_id").to_pylist()))


def _header(path: Path) -> tuple[list[str], int]:
    """The header's fields, and the number of lines before it."""
    n_notes = 0
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            if not line.startswith("##"):
                return line.rstrip("\r\n").split("\t"), n_notes
            n_notes += 1
    return [], n_notes
