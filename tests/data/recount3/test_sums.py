"""Coverage becomes reads."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from pydgd.data.recount3 import GeneSums, read_gene_sums
from pydgd.errors import CountsError


def test_reads_of_pairs_are_pairs() -> None:
    """1,000 pairs of 2 x 100 bases cover 200,000 bases; STAR's mean mapped length of a pair is 200."""
    sums = GeneSums(np.array([[200_000]]), ("S1",), ("g",))
    assert sums.reads(np.array([200.0])).tolist() == [[1_000]]


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_sample_without_length_is_named(length: float) -> None:
    sums = GeneSums(np.ones((2, 1), dtype=np.int64), ("S1", "S2"), ("g",))
    with pytest.raises(CountsError, match=r"1 samples \(first: S2\)"):
        sums.reads(np.array([100.0, length]))


def test_sums_beyond_32_bits_and_some_of_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "sums.gz"
    path.write_bytes(
        gzip.compress(b"##annotation=G029\ngene_id\tS1\tS2\tS3\nA.1\t1\t2\t5000000000\nB.1\t3\t4\t0\n")
    )
    sums = read_gene_sums(path, ["S3", "S1"])
    assert sums.coverage.tolist() == [[5_000_000_000, 0], [1, 3]]
    assert sums.genes == ("A.1", "B.1")
    assert read_gene_sums(path).samples == ("S1", "S2", "S3")
