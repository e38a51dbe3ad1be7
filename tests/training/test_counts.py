# SPDX-License-Identifier: BSD-3-Clause
"""Batches out of memory and out of a file: every sample once an epoch, each with its own numbers."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from pydgd.data.blocks import LazyRows
from pydgd.training import CountsInMemory, CountsOnDisk, TrainingCounts, counts
from pydgd.training.counts import Batch, evenly_spaced
from pydgd.training.ranks import Ranks

N, N_GENES = 53, 7


@pytest.fixture
def matrix() -> np.ndarray:
    """Each sample with counts of its own."""
    return np.random.default_rng(0).poisson(20, (N, N_GENES))


def in_memory(matrix: np.ndarray, rows: np.ndarray) -> TrainingCounts:
    """Some rows of it."""
    x = torch.as_tensor(matrix[rows], dtype=torch.float32)
    return CountsInMemory(x, x.sum(dim=1))


def on_disk(matrix: np.ndarray, rows: np.ndarray) -> TrainingCounts:
    """The same rows, read four at a time out of the whole."""
    return CountsOnDisk(
        LazyRows.of(csr_matrix(matrix)), rows, torch.as_tensor(matrix[rows].sum(axis=1), dtype=torch.float32)
    )


@pytest.fixture(params=[in_memory, on_disk])
def source(request, matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> tuple[TrainingCounts, np.ndarray]:
    """Two thirds of the samples, and their numbers."""
    monkeypatch.setattr(counts, "BLOCK_ELEMENTS", 4 * N_GENES)
    monkeypatch.setattr(counts, "BUFFER_ELEMENTS", 12 * N_GENES)
    rows = np.flatnonzero(np.arange(N) % 3)
    return request.param(matrix, rows), rows


def epoch(source: TrainingCounts, *, seed: int = 0, **options) -> list[Batch]:
    """All batches of one epoch."""
    return list(source.batches(torch.Generator().manual_seed(seed), batch_size=8, **options))


def test_every_sample_comes_once_with_its_own_numbers(source, matrix: np.ndarray) -> None:
    """Counts, scaling factor and factorials are those of the sample that the row names."""
    given, rows = source
    seen = []
    for batch in epoch(given):
        expected = matrix[rows[batch.rows.numpy()]]
        np.testing.assert_array_equal(batch.counts, expected)
        np.testing.assert_array_equal(batch.scaling_factors, expected.sum(axis=1))
        np.testing.assert_allclose(batch.log_factorial, gammaln(expected + 1).sum(axis=1), rtol=1e-6)
        assert batch.n_samples == len(batch.rows)
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(rows)))


def test_batches_are_of_equal_size(source) -> None:
    """Give or take one."""
    sizes = {batch.n_samples for batch in epoch(source[0])}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 8


def test_seed_decides_the_order(source) -> None:
    """Another seed, another order."""
    first, again, other = (epoch(source[0], seed=seed)[0].rows.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_an_epoch_goes_on_where_it_was_left(source) -> None:
    """Batches that are skipped leave the others as they are."""
    whole = epoch(source[0])
    for skip in range(len(whole) + 1):
        rest = epoch(source[0], skip=skip)
        assert len(rest) == len(whole) - skip
        for one, other in zip(rest, whole[skip:], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


def test_each_batch_has_one_of_some_neighbours(matrix: np.ndarray) -> None:
    """Of as many as there are batches; so every process has as much to do in each, give or take two."""
    given = in_memory(matrix, np.arange(N))
    batches = epoch(given)
    for batch in batches:
        strata = batch.rows // len(batches)
        assert len(set(strata.tolist())) == len(batch.rows)
    for size in (2, 3, 5):
        shares = [[len(batch.rows) for batch in epoch(given, ranks=Ranks(i, size))] for i in range(size)]
        assert np.ptp(shares, axis=0).max() <= 2


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_samples(source, matrix: np.ndarray, size: int) -> None:
    """Each takes its own, in as many steps as the others, and all together take every one."""
    given, rows = source
    everyone = [epoch(given, ranks=Ranks(i, size)) for i in range(size)]
    assert len({len(batches) for batches in everyone}) == 1
    shares = [len(Ranks(i, size).own(len(rows))) for i in range(size)]
    assert max(shares) - min(shares) <= 1
    seen = []
    for i, batches in enumerate(everyone):
        own = Ranks(i, size).own(len(rows))
        for batch in batches:
            places = own[batch.rows.numpy()]
            np.testing.assert_array_equal(batch.counts, matrix[rows[places]])
            seen += places.tolist()
    assert sorted(seen) == list(range(len(rows)))
    for together in zip(*everyone, strict=True):
        assert {batch.n_samples for batch in together} == {sum(len(batch.rows) for batch in together)}


def test_some_samples_can_be_taken(source, matrix: np.ndarray) -> None:
    """By their numbers among the training samples."""
    given, rows = source
    np.testing.assert_array_equal(given.take(np.array([0, 5, 30])), matrix[rows[[0, 5, 30]]])


def test_a_run_that_stops_in_the_middle_reads_no_more(
    matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader ends with the loop that it reads for."""
    monkeypatch.setattr(counts, "BLOCK_ELEMENTS", 4 * N_GENES)
    monkeypatch.setattr(counts, "BUFFER_ELEMENTS", 12 * N_GENES)
    given = on_disk(matrix, np.arange(N))
    read = []
    monkeypatch.setattr(given, "_read", lambda rows, whole=given._read: read.append(len(rows)) or whole(rows))
    batches = given.batches(torch.Generator(), batch_size=4)
    next(iter(batches))
    batches.close()
    # The first buffer, and the one that was read ahead.
    assert sum(read) <= 24 < N


@pytest.mark.parametrize(("n", "most"), [(1, 1), (10, 3), (10, 10), (1000, 7)])
def test_evenly_spaced_numbers_are_not_more_than_asked_for(n: int, most: int) -> None:
    """And begin with the first."""
    chosen = evenly_spaced(n, most)
    assert chosen[0] == 0
    assert len(chosen) <= most
    assert len(set(np.diff(chosen))) <= 1
