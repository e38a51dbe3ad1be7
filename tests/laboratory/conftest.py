# SPDX-License-Identifier: BSD-3-Clause
"""Two laboratories of one simulated cohort: the second reads every gene by a factor of its own."""

import numpy as np
import pytest
from anndata import AnnData

from pydgd import DGD
from pydgd.data import simulate_cohort


@pytest.fixture(scope="session")
def normals() -> AnnData:
    """180 healthy samples of 3 tissues, 400 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=60, n_genes=400, seed=0).normals


@pytest.fixture(scope="session")
def model(normals: AnnData) -> DGD:
    """It has seen the half of them, of the first laboratory."""
    return DGD.fit(normals[::2].copy(), latent_dim=4, epochs=10, validation=0.3)


@pytest.fixture(scope="session")
def factors(normals: AnnData) -> np.ndarray:
    """What the second laboratory multiplies genes by."""
    return np.random.default_rng(3).lognormal(0, 0.6, normals.n_vars)


@pytest.fixture(scope="session")
def elsewhere(normals: AnnData, factors: np.ndarray) -> AnnData:
    """The other half, by the second laboratory."""
    adata = normals[1::2].copy()
    rng = np.random.default_rng(4)
    adata.X = rng.poisson(np.asarray(adata.X, dtype=float) * factors).astype(np.float32)
    adata.obs["study"] = "second"
    return adata
