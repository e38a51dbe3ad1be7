# SPDX-License-Identifier: BSD-3-Clause
"""Available memory, as Linux and its containers say it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data import memory, open_counts, read_counts
from pydgd.data.growing import write_parts
from pydgd.data.memory import available_memory, check_memory
from pydgd.errors import TooLargeError

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          500000 kB\nMemAvailable:    8000000 kB\n"


def put(folder: Path, name: str, content: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8_000_000 * 1024),
        ({"memory.max": "max\n", "memory.current": "1000\n"}, 8_000_000 * 1024),
        ({"memory.max": "3000000\n", "memory.current": "1000000\n"}, 2_000_000),
        ({"memory.max": "1000\n", "memory.current": "2000\n"}, 0),
        (
            {"memory/memory.limit_in_bytes": "5000000\n", "memory/memory.usage_in_bytes": "1000000\n"},
            4_000_000,
        ),
        # Copies of files go when memory is wanted.
        (
            {
                "memory.max": "3000000\n",
                "memory.current": "2900000\n",
                "memory.stat": "anon 100\ninactive_file 1500000\nactive_file 300000\n",
            },
            1_900_000,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "5000000\n",
                "memory/memory.usage_in_bytes": "5000000\n",
                "memory/memory.stat": "total_inactive_file 1000000\ntotal_active_file 2000000\n",
            },
            3_000_000,
        ),
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    """Of the system and of the container, in either version."""
    put(tmp_path, "meminfo", MEMINFO)
    for name, content in files.items():
        put(tmp_path / "cgroup", name, content)
    assert available_memory(tmp_path / "meminfo", tmp_path / "cgroup") == expected


def test_other_systems_say_how_much_there_is(tmp_path: Path) -> None:
    """Half of it may be taken."""
    found = available_memory(tmp_path / "none", tmp_path / "none")
    assert found is None or found > 2**26


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred bytes are free."""
    monkeypatch.setattr(memory, "available_memory", lambda: 100)
    monkeypatch.setattr(memory, "_swap", lambda: 0)


def test_what_may_go_to_the_disk_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow is not impossible."""
    monkeypatch.setattr(memory, "available_memory", lambda: 100)
    monkeypatch.setattr(memory, "_swap", lambda: 50)
    check_memory(150, "x", "y")
    with pytest.raises(TooLargeError, match=r"x takes .* GiB are free; y"):
        check_memory(151, "x", "y")
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    check_memory(2**60, "x", "y")


def counts(kind: str) -> AnnData:
    matrix = np.random.default_rng(0).poisson(9.0, (6, 20)).astype(np.float32)
    made = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}.get(kind, np.asarray)(matrix)
    names = pd.DataFrame(index=[f"S{i}" for i in range(6)]), pd.DataFrame(index=[f"g{i}" for i in range(20)])
    return AnnData(made, *names)


@pytest.mark.parametrize(
    "name", ["dense.h5ad", "csr.h5ad", "csc.h5ad", "dense.zarr", "csr.zarr", "x.csv", "x.csv.gz"]
)
@pytest.mark.usefixtures("little")
def test_counts_that_do_not_fit_are_refused_before_they_are_read(tmp_path: Path, name: str) -> None:
    """With the file, what they take, what there is, and what helps."""
    path, adata = tmp_path / name, counts(name.partition(".")[0])
    if name.startswith("x"):
        adata.to_df().to_csv(path)
    elif name.endswith("zarr"):
        pytest.importorskip("zarr")
        write_parts([adata], path)
    else:
        adata.write_h5ad(path)
    with pytest.raises(
        TooLargeError, match=rf"{name}: reading .* takes 0.0 GiB of memory, and 0.0 GiB .*; \w+"
    ):
        read_counts(path)


@pytest.mark.usefixtures("little")
def test_a_part_is_read_where_the_whole_does_not_fit(tmp_path: Path) -> None:
    """Rows that stay in their file take what is asked for."""
    counts("dense").write_h5ad(tmp_path / "x.h5ad")
    with open_counts(tmp_path / "x.h5ad") as rows:
        assert rows.read(0, 5).shape == (5, 20)
        with pytest.raises(TooLargeError, match="6 samples x 20 genes"):
            rows.read(0, 6)
        assert rows.take(np.array([2])).read(0, 1).shape == (1, 20)


def test_what_fits_exactly_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six samples of 20 numbers of 4 bytes."""
    counts("dense").write_h5ad(tmp_path / "x.h5ad")
    monkeypatch.setattr(memory, "_swap", lambda: 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 480)
    assert read_counts(tmp_path / "x.h5ad").shape == (6, 20)
    monkeypatch.setattr(memory, "available_memory", lambda: 479)
    with pytest.raises(TooLargeError):
        read_counts(tmp_path / "x.h5ad")
