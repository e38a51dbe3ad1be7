# SPDX-License-Identifier: BSD-3-Clause
"""One small cohort with its model, closest normals and table, made once."""

from dataclasses import dataclass

import pandas as pd
import pytest

from pydgd import DGD, ClosestNormal, differential_expression
from pydgd.data import Simulation, simulate_cohort


@dataclass(frozen=True)
class Study:
    """Nobody changes its parts."""

    simulation: Simulation
    model: DGD
    normal: ClosestNormal
    table: pd.DataFrame


@pytest.fixture(scope="session")
def study() -> Study:
    """Two tissues, 220 genes, eight cases."""
    simulation = simulate_cohort(
        n_tissues=2, n_per_tissue=20, n_genes=220, n_changed=4, n_unchanged=4, seed=3
    )
    model = DGD.fit(simulation.normals, latent_dim=4, n_components=3, epochs=10)
    normal = model.closest_normal(simulation.cases)
    return Study(simulation, model, normal, differential_expression(simulation.cases, normal))


@pytest.fixture(scope="session")
def other_model() -> DGD:
    """As many latent dimensions as the study's model, other genes."""
    normals = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=100, seed=4).normals
    return DGD.fit(normals, latent_dim=4, n_components=3, epochs=2)
