# SPDX-License-Identifier: BSD-3-Clause
"""A small cohort, and counts that are hard to train on."""

from collections.abc import Callable

import numpy as np
import pytest

from pydgd.config import training_config
from pydgd.data import scaling_factors, simulate_cohort, typical_profile
from pydgd.training import TrainingResult, fit


@pytest.fixture(scope="session")
def counts() -> np.ndarray:
    """60 samples of 3 tissues, 200 genes."""
    matrix = simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=200, seed=0).normals.X
    return np.asarray(matrix, dtype=np.float32)


@pytest.fixture
def fitted() -> Callable[..., TrainingResult]:
    """Train on counts by the given options; a few epochs of a small model by default."""

    def run(counts: np.ndarray, *, held_out=None, progress=None, **options) -> TrainingResult:
        config = training_config(**{"latent_dim": 4, "epochs": 4, "n_components": 2, **options})
        profile = typical_profile(counts, rule=config.scaling)
        scaled = [
            (x, scaling_factors(x, rule=config.scaling, profile=profile))
            for x in ([counts] if held_out is None else [counts, held_out])
        ]
        return fit(
            *scaled[0],
            genes=[f"g{i}" for i in range(counts.shape[1])],
            profile=profile,
            config=config,
            held_out=None if held_out is None else scaled[1],
            progress=progress,
        )

    return run


def _with(change: Callable[[np.ndarray, np.random.Generator], None]) -> np.ndarray:
    """Ordinary counts, 30 × 40, with something odd about them."""
    rng = np.random.default_rng(1)
    made = rng.poisson(rng.lognormal(3, 1, 40) * rng.lognormal(0, 0.3, (30, 40))).astype(np.float32) + 1
    change(made, rng)
    return made


def _constant(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[:, ::2] = 7


def _all_constant(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[:] = 5


def _rank_one(x: np.ndarray, rng: np.random.Generator) -> None:
    x[:] = np.outer(rng.integers(1, 9, len(x)), rng.integers(1, 9, x.shape[1]))


def _duplicates(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[:] = x[np.arange(len(x)) % 3]


def _one_read(x: np.ndarray, rng: np.random.Generator) -> None:
    x[:, :10] = 0
    x[rng.integers(0, len(x), 10), np.arange(10)] = 1


def _dominant(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[:, 0] = x[:, 1:].sum(axis=1)


def _burst(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[0, 3] = 1e8


def _bright(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[:, 3] = 1e8


def _shallow(x: np.ndarray, _rng: np.random.Generator) -> None:
    x[:5] = 0
    x[:5, 0] = 1


ODD = {
    "constant genes": _constant,
    "all genes constant": _all_constant,
    "rank one": _rank_one,
    "duplicated samples": _duplicates,
    "genes with one read": _one_read,
    "a gene with half of all reads": _dominant,
    "1e8 reads of one gene in one sample": _burst,
    "1e8 reads of one gene": _bright,
    "samples with one read": _shallow,
}


@pytest.fixture(params=ODD)
def odd_counts(request: pytest.FixtureRequest) -> np.ndarray:
    """Counts that have broken a start or a step before, or could."""
    return _with(ODD[request.param])
