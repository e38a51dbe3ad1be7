# SPDX-License-Identifier: BSD-3-Clause
"""Scaling factors that are fitted with the representation."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from pydgd.data import AlignedCounts
from pydgd.errors import ConfigError
from pydgd.inference.closest_normal import closest_normal
from pydgd.inference.scaling import JointObjective
from pydgd.inference.search import SearchOptions, find_representations

FITTED = SearchOptions(scaling="fitted")


def fitted(made, factor: float = 1.0):
    return find_representations(
        made.model, made.counts, made.scaling_factors * factor, measured=made.measured, options=FITTED
    )


@pytest.mark.parametrize("name", ["nb_feature_dispersion", "poisson"])
def test_derivatives_agree_with_differences(problem, name: str) -> None:
    """Of the objective in z and ln s, in float64 differences; the curvature is positive definite."""
    made = problem(name, share_measured=0.8)
    joint = JointObjective(made.objective())
    at = torch.cat([made.z + 0.1, torch.full((len(made.z), 1), 0.2, dtype=torch.float64)], dim=1)
    value, gradient = joint.value_and_gradient(at)
    torch.testing.assert_close(joint.newton_system(at).gradient, gradient, rtol=1e-4, atol=1e-2)
    step = torch.zeros_like(at)
    step[:, -1] = 0.01
    slope = (joint.value(at + step) - joint.value(at - step)) / 0.02
    torch.testing.assert_close(slope, gradient[:, -1], rtol=1e-2, atol=0.5)
    assert (torch.linalg.eigvalsh(joint.newton_system(at).curvature) > 0).all()
    torch.testing.assert_close(value, joint.value(at))


@pytest.mark.parametrize(("widths", "nats"), [((), 2e-3), ((12,), 0.1)])
def test_the_start_does_not_matter(problem, widths: tuple[int, ...], nats: float) -> None:
    """A rule that is a third off ends at the same objective; with hidden layers L-BFGS stops less sharply."""
    made = problem(widths=widths, n_genes=500)
    one, two = fitted(made), fitted(made, 1.3)
    torch.testing.assert_close(two.scaling_shift + np.log(1.3), one.scaling_shift, rtol=0, atol=1e-2)
    torch.testing.assert_close(two.value, one.value, rtol=0, atol=nats)


def test_agrees_with_scipy(problem) -> None:
    """SciPy finds nothing better of the objective in float64 over z and ln s."""
    made = problem(n_genes=200)
    found, before = fitted(made), made.scaling_factors.clone()
    of_z = made.reference(0)

    def value(position: np.ndarray) -> float:
        made.scaling_factors[0] = before[0] * float(np.exp(position[-1]))
        return of_z(position[:-1])

    start = np.append(found.z[0].numpy(), found.scaling_shift[0])
    best = minimize(value, start, method="Nelder-Mead", options={"maxfev": 500})
    assert best.fun > found.value[0].item() - 0.02


def test_the_factors_are_the_closest_normals(problem) -> None:
    """They scale its expected reads, stand in the fit table, and are recorded."""
    made = problem(n_samples=10)
    names = tuple(f"s{i}" for i in range(10))
    query = AlignedCounts(made.counts.numpy(), made.measured.numpy(), names, made.model.genes, 0)
    usual, normal = closest_normal(made.model, query), closest_normal(made.model, query, options=FITTED)
    shift = normal.fit["dgd_scaling_shift"].to_numpy()
    np.testing.assert_allclose(normal.scaling_factors, usual.scaling_factors * np.exp(shift))
    np.testing.assert_allclose(normal.fit["dgd_scaling_factor"], normal.scaling_factors)
    per_unit = made.model.decoder(torch.as_tensor(normal.representations).float()).numpy()
    np.testing.assert_allclose(normal.means, per_unit * normal.scaling_factors[:, None], rtol=1e-5)
    assert (normal.provenance["scaling"], usual.provenance["scaling"]) == ("fitted", "model")
    assert "dgd_scaling_shift" not in usual.fit


def test_company_does_not_matter(problem) -> None:
    """To the bit."""
    made = problem(n_samples=10)
    together = fitted(made)
    alone = find_representations(made.model, made.counts[3:4], made.scaling_factors[3:4], options=FITTED)
    assert all(torch.equal(a[3:4], b) for a, b in zip(together, alone, strict=True) if a is not None)


def test_refused_by_name() -> None:
    """An unknown rule, or bulkdgd's schemes."""
    with pytest.raises(ConfigError, match="scaling must be one of model, fitted, got 'total'"):
        SearchOptions(scaling="total")
    with pytest.raises(ConfigError, match="scheme 'one_opt' knows"):
        SearchOptions(scheme="one_opt", scaling="fitted")
