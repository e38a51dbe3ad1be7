# SPDX-License-Identifier: BSD-3-Clause
"""The last steps of Newton's method, against float64."""

import pytest
import torch
from scipy.optimize import minimize

from pydgd.inference.newton import newton


@pytest.mark.parametrize("name", ["nb_feature_dispersion", "poisson"])
def test_rounding_does_not_decide_where_a_search_ends(problem, name: str) -> None:
    """From different starts every log2 mean ends within 1e-5 of the same, at a decrement far below 1e-3."""
    made = problem(name, n_samples=20, n_genes=500)
    objective = made.objective()
    ends = [newton(objective, made.z + away) for away in (0.0, 0.3, -0.5, 1.0)]
    log2_means = [made.model.decoder(end.z.float()).double().log2() for end in ends]
    for end, found in zip(ends, log2_means, strict=True):
        assert (end.decrement < 1e-6).all()
        torch.testing.assert_close(found, log2_means[0], rtol=0, atol=1e-5)


def test_settled_where_scipy_finds_the_optimum(problem) -> None:
    """SciPy's optimum of the objective in float64 throughout has the same ln means within 1e-5."""
    made = problem(n_genes=300)
    end = newton(made.objective(), made.z)
    for sample in range(3):
        value = made.reference(sample)
        polished = minimize(value, end.z[sample].numpy(), method="BFGS", options={"gtol": 1e-9})
        z = torch.stack([end.z[sample], torch.as_tensor(polished.x)]).float()
        one, two = made.model.decoder(z).double().log()
        torch.testing.assert_close(one, two, rtol=0, atol=1e-5)


def test_a_sample_that_has_not_converged_stays(problem) -> None:
    """With too few steps the search ends where Newton's steps do; the budget is kept."""
    made = problem()
    end = newton(made.objective(), made.z + 3.0, max_iter=3)
    assert (end.decrement > 1e-3).any()
    assert (end.evaluations <= 3).all()
