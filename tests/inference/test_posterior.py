# SPDX-License-Identifier: BSD-3-Clause
"""Most probable points turned into closest normals: who keeps what, and who is drawn back."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, align_to_genes
from pydgd.inference.closest_normal import find_and_decode
from pydgd.inference.posterior import Posterior
from pydgd.inference.result import ClosestNormal

LIMIT = 3.0


class Found(NamedTuple):
    """A model, counts of samples of which the last three depart, and their most probable points."""

    model: JointModel
    query: AlignedCounts
    normal: ClosestNormal

    def posterior(self, **options: object) -> ClosestNormal:
        """Their closest normals."""
        return Posterior(self.model, **{"misfit_limit": LIMIT, **options}).of(self.normal, self.query)


@pytest.fixture
def found(problem: Callable) -> Found:
    """Three samples that the model could have made, three that it could not."""
    made = problem(n_samples=6, n_genes=400, reads=1e6)
    counts = made.counts.numpy()
    noise = np.random.default_rng(0).lognormal(0, 1.5, counts[3:].shape)
    counts[3:] = np.rint(counts[3:] * noise)
    frame = pd.DataFrame(counts, index=[f"s{i}" for i in range(6)], columns=list(made.model.genes))
    query = align_to_genes(AnnData(frame), made.model.genes)
    return Found(made.model, query, find_and_decode(made.model, query))


def test_samples_of_a_usual_misfit_keep_their_place_to_the_bit(found: Found) -> None:
    """The others depart, keep part of their distance, and have other means."""
    normal = found.posterior()
    assert normal.departure is not None
    assert (normal.departure > 0).tolist() == [False] * 3 + [True] * 3
    np.testing.assert_array_equal(normal.means[:3], found.normal.means[:3])
    np.testing.assert_array_equal(normal.representations[:3], found.normal.representations[:3])
    shares = normal.fit["dgd_kept_share"].to_numpy()
    assert (shares[:3] == 1).all()
    assert (shares[3:] < 1).any()
    moved = shares < 1
    assert (normal.means[moved] != found.normal.means[moved]).any(axis=1).all()
    assert normal.provenance["point"] == "posterior"


def test_a_high_limit_moves_nobody(found: Found) -> None:
    """And every ln mu still has a variance."""
    normal = found.posterior(misfit_limit=1e9)
    np.testing.assert_array_equal(normal.means, found.normal.means)
    assert normal.log_mean_variance is not None
    assert (normal.log_mean_variance > 0).all()
    assert np.isfinite(normal.log_mean_variance).all()


def test_fewer_measured_genes_leave_means_less_sure(found: Found) -> None:
    """A tenth of the genes, at the same place."""
    some = replace(found.normal, measured=np.arange(400) % 10 == 0)
    variances = [
        Posterior(found.model, misfit_limit=1e9).of(normal, found.query).log_mean_variance
        for normal in (found.normal, some)
    ]
    assert (variances[1] > variances[0]).mean() > 0.99


def test_cross_fitted_r_takes_the_place_of_the_decoder_s(found: Found) -> None:
    """In the result and in the misfit: a small r makes every sample usual."""
    normal = found.posterior(log_r=np.full(400, -2.0))
    np.testing.assert_allclose(normal.r, np.exp(-2.0))
    assert normal.departure is not None
    assert (normal.departure == 0).all()


def test_a_sample_is_the_same_alone(found: Found) -> None:
    """To the bit, where it has departed."""
    one = replace(found.query, counts=found.query.counts[4:5], sample_names=found.query.sample_names[4:5])
    alone = Found(found.model, one, find_and_decode(found.model, one)).posterior()
    for name in ("means", "departure", "log_mean_variance", "representations"):
        np.testing.assert_array_equal(getattr(found.posterior(), name)[4], getattr(alone, name)[0])
