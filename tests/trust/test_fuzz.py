# SPDX-License-Identifier: BSD-3-Clause
"""Spoilt inputs of every reader are read or refused; `benchmarks/trust.py` tries hundreds of thousands."""

from pathlib import Path

import pytest

from .targets import TARGETS, spoilt
from .watch import fault


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_inputs_are_refused_in_words(tmp_path: Path, name: str) -> None:
    """Twelve of each: no traceback, no hang, no memory beyond the input's own."""
    found = {
        seed: said
        for seed, size, read in spoilt(name, tmp_path / "x", range(12))
        if (said := fault(read, size))
    }
    assert found == {}


# What fuzzing found, by target and seed: an input depends on these alone.
FOUND = (
    ("featurecounts", 24),
    ("gct13", 64),
    ("parquet", 7),
    ("parquet", 9),
    ("parquet", 77),
    ("feather", 23),
    ("feather", 62),
    ("feather", 1768),
    ("gct13", 734),
    ("mtx2", 1392),
    ("h5ad dense", 2),
    ("h5ad dense", 236),
    ("h5ad dense", 258),
    ("h5ad csr", 16),
    ("h5ad csr", 241),
    ("h5ad csc", 316),
    ("zarr csr", 86),
    ("zarr csr", 344),
    ("zarr csr", 5133),
    ("checkpoint, bytes", 8),
    ("checkpoint, bytes", 133),
    ("checkpoint, hash made to fit", 1),
    ("checkpoint, hash made to fit", 33),
    ("saved closest normals", 171),
    ("saved closest normals", 361),
    ("saved closest normals", 489),
    ("h5ad of results", 48),
    # What crashed HDF5, ran without end in it, or took 4 GB.
    ("h5ad dense", 759),
    ("h5ad csc", 1930),
    ("zarr dense", 627),
    ("saved closest normals", 1616),
    ("h5ad of results", 1187),
    ("h5ad of results", 1587),
    ("table of results", 1258),
)


@pytest.mark.parametrize(("name", "seed"), FOUND)
def test_what_was_found_stays_mended(tmp_path: Path, name: str, seed: int) -> None:
    """Each once came out as another error, or took too long or too much memory."""
    ((_, size, read),) = spoilt(name, tmp_path / "x", range(seed, seed + 1))
    assert fault(read, size) is None
