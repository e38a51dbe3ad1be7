# SPDX-License-Identifier: BSD-3-Clause
"""Chunks put together are the whole, to the bit; memory decides their size."""

import logging
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.data import align_to_genes, count_rows, match_genes
from pydgd.errors import ConfigError
from pydgd.inference import ClosestNormal, SearchOptions, closest_normal, closest_normal_chunks
from pydgd.inference.chunks import BYTES_PER_COUNT, chunk_size_for

from .conftest import Problem, make_problem

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]


def query_of(problem) -> AnnData:
    names = [f"S{i}" for i in range(len(problem.counts))]
    return AnnData(
        problem.counts.numpy().astype(np.int32),
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=list(problem.model.genes)),
    )


@pytest.fixture(scope="module")
def whole_of() -> Callable:
    """A model of each kind, a query of it, and what is found of all samples at once."""

    @lru_cache
    def made(name: str) -> tuple[Problem, AnnData, ClosestNormal]:
        given = make_problem(name, n_samples=11)
        query = query_of(given)
        query.X[8, 3] = 2**24 + 1
        query = query[:, ::2].copy()
        aligned = align_to_genes(query, given.model.genes, min_shared=0.1)
        return given, query, closest_normal(given.model, aligned)

    return made


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("size", [1, 5, 8, 100])
def test_chunks_are_the_whole(whole_of: Callable, name: str, size: int) -> None:
    """For every kind of model, also with genes that are not measured and counts that float32 cannot hold."""
    given, query, whole = whole_of(name)
    match = match_genes(query, given.model.genes, min_shared=0.1)
    parts = list(closest_normal_chunks(given.model, count_rows(query), match, chunk_size=size))
    assert [len(part.sample_names) for part in parts][:-1] == [size] * (len(parts) - 1)
    for field in ("means", "representations", "scaling_factors", "component"):
        together = np.concatenate([getattr(part, field) for part in parts])
        assert together.tobytes() == getattr(whole, field).tobytes(), field
    if whole.r is not None:
        per_sample = whole.r.ndim == 2
        rows = np.concatenate([part.r for part in parts]) if per_sample else parts[-1].r
        assert rows.tobytes() == whole.r.tobytes()
    pd.testing.assert_frame_equal(pd.concat([part.fit for part in parts]), whole.fit, check_exact=True)


def test_progress_goes_on_from_chunk_to_chunk(problem: Callable) -> None:
    """Samples done and in all, not in the chunk."""
    given, calls = problem(n_samples=10), []
    query = query_of(given)
    chunks = closest_normal_chunks(
        given.model,
        count_rows(query),
        match_genes(query, given.model.genes),
        chunk_size=4,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == []
    next(chunks)
    assert calls == [(4, 10)]
    list(chunks)
    assert calls == [(4, 10), (8, 10), (10, 10)]


def test_searches_that_did_not_converge_are_told_once(
    problem: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    """For all chunks together, with the first name."""
    given = problem(n_samples=6)
    query = query_of(given)
    hardly = SearchOptions(n_starts=1, scout_iter=1, max_iter=1)
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        chunks = closest_normal_chunks(
            given.model,
            count_rows(query),
            match_genes(query, given.model.genes),
            chunk_size=2,
            options=hardly,
        )
        lost = ~pd.concat([part.fit for part in chunks])["dgd_converged"]
    assert lost.sum() > 1
    (message,) = caplog.messages
    assert f"for {lost.sum()} of 6 samples (first: '{lost.index[lost][0]}')" in message


@pytest.mark.parametrize("size", [0, -1, 2.5, "8"])
def test_a_chunk_size_that_is_none_is_refused(problem: Callable, size: object) -> None:
    """At the call, not at the first chunk."""
    given = problem()
    query = query_of(given)
    with pytest.raises((ConfigError, TypeError), match="chunk_size"):
        closest_normal_chunks(
            given.model, count_rows(query), match_genes(query, given.model.genes), chunk_size=size
        )


@pytest.mark.parametrize("memory", [0, 2**20, 2**28, 2**30, 2**32, 2**40])
@pytest.mark.parametrize("n_genes", [1, 500, 20_000, 200_000])
def test_a_chunk_takes_an_eighth_of_the_memory(memory: int, n_genes: int) -> None:
    """From one block of the search to eight."""
    size = chunk_size_for(n_genes, memory=memory)
    assert size in range(8, 65, 8)
    assert size == 8 or size * n_genes * BYTES_PER_COUNT <= memory / 8
    assert size == 64 or (size + 8) * n_genes * BYTES_PER_COUNT > memory / 8


def test_without_knowledge_of_memory_a_chunk_is_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a gigabyte at 15,000 genes."""
    monkeypatch.setattr("pydgd.inference.chunks.available_memory", lambda: None)
    assert chunk_size_for(15_000) == 64
