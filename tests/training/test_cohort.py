# SPDX-License-Identifier: BSD-3-Clause
"""Samples made ready for training, from memory and from a file alike."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix

from pydgd import DGD
from pydgd.config import training_config
from pydgd.data import as_counts, count_rows, open_counts, simulate_cohort
from pydgd.errors import ConfigError, TooLargeError, TrainingError
from pydgd.training import Cohort, cohort_in_memory, cohort_on_disk
from pydgd.training.cohort import WORKING_BYTES, check_fits


@pytest.fixture(scope="module")
def normals() -> AnnData:
    """In another order than that of the names, some genes silent."""
    adata = simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=60, seed=0).normals
    adata.X[:, ::7] = 0
    order = np.random.default_rng(0).permutation(adata.n_obs)
    return adata[order, ::-1].copy()


def by_name(cohort: Cohort) -> dict[str, np.ndarray]:
    """Counts of the training samples."""
    rows = np.arange(len(cohort.sample_names))
    return dict(zip(cohort.sample_names, cohort.training.take(rows).numpy(), strict=True))


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
def test_a_file_gives_what_memory_gives(normals: AnnData, kind) -> None:
    """The same genes, depths, labels, samples held out and counts, whatever the order."""
    config = training_config()
    matrix = normals.copy()
    matrix.X = kind(normals.X)
    memory, disk = cohort_in_memory(as_counts(normals), config), cohort_on_disk(count_rows(matrix), config)
    assert memory.genes == disk.genes
    assert set(memory.held_out.sample_names) == set(disk.held_out.sample_names)
    np.testing.assert_allclose(disk.profile, memory.profile, rtol=1e-12)
    one, other = by_name(memory), by_name(disk)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    labels = [dict(zip(cohort.sample_names, cohort.labels, strict=True)) for cohort in (memory, disk)]
    assert labels[0] == labels[1]


def test_chosen_samples_of_a_file(normals: AnnData) -> None:
    """The rows between them are passed over."""
    some = normals[normals.obs["tissue"] != normals.obs["tissue"].iloc[0]].copy()
    rows = count_rows(normals).where(f"tissue!={normals.obs['tissue'].iloc[0]}")
    config = training_config()
    one, other = by_name(cohort_in_memory(as_counts(some), config)), by_name(cohort_on_disk(rows, config))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.filterwarnings("ignore:Writing zarr")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_models_of_a_file_are_as_good(normals: AnnData, tmp_path: Path, suffix: str) -> None:
    """Training from disk ends where training from memory does, but for the order of the samples."""
    path = tmp_path / f"normals.{suffix}"
    getattr(normals, f"write_{suffix}")(path)
    options = {"latent_dim": 4, "epochs": 8}
    memory = DGD.fit(normals, **options)
    with open_counts(path) as rows:
        disk = DGD.fit(rows, **options)
    assert set(memory.record.sample_names) == set(disk.record.sample_names)
    ends = [model.history.validation_nll.iloc[-1] for model in (memory, disk)]
    assert ends[1] == pytest.approx(ends[0], rel=0.01)


def test_training_from_a_file_repeats(normals: AnnData, tmp_path: Path) -> None:
    """To the bit, whatever the reader's thread does meanwhile."""
    normals.write_h5ad(tmp_path / "normals.h5ad")
    hashes = set()
    for _ in range(2):
        with open_counts(tmp_path / "normals.h5ad") as rows:
            hashes.add(DGD.fit(rows, latent_dim=3, epochs=2).provenance["sha256"])
    assert len(hashes) == 1


def test_many_samples_start_from_some(normals: AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are projected, where the first would have put them too."""
    # The package's name `fit` is the function.
    monkeypatch.setattr(sys.modules["pydgd.training.fit"], "MOST_STARTING", 30)
    monkeypatch.setattr("pydgd.training.optimisers.MOST_DENSE", 30)
    few, all_of_them = (DGD.fit(normals, latent_dim=4, epochs=n) for n in (1, 8))
    assert all_of_them.history.train_nll.iloc[-1] < few.history.train_nll.iloc[0]
    assert torch.isfinite(all_of_them.record.representations).all()


def test_what_cannot_be_trained_on_is_said(normals: AnnData) -> None:
    """Too few genes, and a column that is not there."""
    for cohort, given in ((cohort_in_memory, as_counts), (cohort_on_disk, count_rows)):
        with pytest.raises(TrainingError, match="at least 2 genes"):
            cohort(given(normals[:, :1].copy()), training_config())
        with pytest.raises(ConfigError, match="group_key 'nobody' is not a column"):
            cohort(given(normals), training_config(group_key="nobody"))


@pytest.fixture
def memory_of(monkeypatch: pytest.MonkeyPatch):
    """A machine of so many bytes."""

    def have(n_bytes: float) -> None:
        monkeypatch.setattr("pydgd.data.memory.available_memory", lambda: int(n_bytes))
        monkeypatch.setattr("pydgd.data.memory._swap", lambda: 0)

    return have


def test_what_training_needs_in_memory_is_told_before_it(normals: AnnData, memory_of) -> None:
    """Of the modelled genes only, with the repair."""
    config, n_modelled = training_config(), int((normals.X.sum(axis=0) > 0).sum())
    needed = WORKING_BYTES * normals.n_obs * n_modelled
    memory_of(needed)
    assert len(cohort_in_memory(as_counts(normals), config).genes) == n_modelled
    memory_of(needed - 1)
    with pytest.raises(
        TooLargeError, match=rf"memory on 60 samples x {n_modelled} modelled genes .*--stream"
    ):
        DGD.fit(normals)


def test_a_file_is_refused_before_it_is_read_into_memory(normals: AnnData, memory_of, tmp_path: Path) -> None:
    """As read and as trained on, once for each process of the machine."""
    normals.write_h5ad(tmp_path / "n.h5ad")
    config, n_modelled = training_config(), int((normals.X.sum(axis=0) > 0).sum())
    needed = normals.n_obs * (normals.n_vars * normals.X.dtype.itemsize + WORKING_BYTES * n_modelled)
    with open_counts(tmp_path / "n.h5ad") as rows:
        memory_of(needed)
        check_fits(rows, config)
        with pytest.raises(TooLargeError, match=r"n\.h5ad: training in memory on 60 samples .*--stream"):
            check_fits(rows, config, n_processes=2)
        memory_of(needed - 1)
        with pytest.raises(TooLargeError):
            check_fits(rows, config)
