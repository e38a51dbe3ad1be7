# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method and L-BFGS side by side: budgets, certificates, and one optimum."""

import pytest
import torch

from pydgd.inference.lbfgs import LONGEST_STEP, lbfgs
from pydgd.inference.newton import newton

both = pytest.mark.parametrize("minimise", [newton, lbfgs])
MEANS_ONLY = ["nb_feature_dispersion", "poisson"]


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("name", MEANS_ONLY)
def test_both_find_the_same_optimum(problem, name: str, activation: str) -> None:
    """Curvature from a formula or from differences of gradients: within 5e-3 nats of each other."""
    made = problem(name, activation=activation, n_samples=20)
    one, two = (minimise(made.objective(), made.z + 0.2, max_iter=100) for minimise in (newton, lbfgs))
    torch.testing.assert_close(one.value, two.value, rtol=0, atol=5e-3)


@both
@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_budget_is_kept(problem, minimise, max_iter: int) -> None:
    """No sample has more evaluations than allowed; one evaluation leaves the start where it is."""
    made = problem()
    start = made.z + 1.0
    end = minimise(made.objective(), start, max_iter=max_iter)
    assert (end.evaluations <= max_iter).all()
    if max_iter == 1:
        assert torch.equal(end.z, start)


@both
@pytest.mark.parametrize("max_iter", [1, 2, 5, 60])
def test_value_belongs_to_the_position(problem, minimise, max_iter: int) -> None:
    """Whenever the search ends."""
    made = problem()
    objective = made.objective()
    end = minimise(objective, made.z + 1.0, max_iter=max_iter)
    torch.testing.assert_close(end.value, objective.value(end.z), rtol=1e-9, atol=0)


@pytest.mark.parametrize("max_iter", [1, 2, 5, 60])
def test_newton_decrement_belongs_to_the_position(problem, max_iter: int) -> None:
    """It is half of g'H^-1 g where the search ended, not one step before."""
    made = problem()
    objective = made.objective()
    end = newton(objective, made.z + 1.0, max_iter=max_iter)
    system = objective.newton_system(end.z)
    solved = torch.linalg.solve(system.curvature, system.gradient)
    torch.testing.assert_close(end.decrement, 0.5 * (system.gradient * solved).sum(-1), rtol=1e-6, atol=1e-9)


@both
def test_never_worse_than_the_start(problem, minimise) -> None:
    """From far away, with any budget, the objective falls."""
    made = problem("poisson", reads=2e7)
    far = made.z + 8.0
    value = made.objective().value(far)
    for max_iter in (2, 10, 60):
        end = minimise(made.objective(), far, max_iter=max_iter)
        assert (end.value <= value).all()
        assert end.z.isfinite().all()
        value = end.value


@both
def test_tolerance_ends_the_search(problem, minimise) -> None:
    """A looser tolerance costs fewer evaluations; at the optimum nothing is left to do."""
    made = problem()
    loose = minimise(made.objective(), made.z + 0.5, tolerance=10.0)
    tight = minimise(made.objective(), made.z + 0.5, tolerance=1e-3)
    assert (tight.decrement <= 1e-3).all()
    assert loose.evaluations.sum() < tight.evaluations.sum()
    again = minimise(made.objective(), tight.z, tolerance=1e-2)
    assert torch.equal(again.z, tight.z)


def test_lbfgs_steps_are_short(problem) -> None:
    """Each trial moves by at most half a unit, so that no step leaves the region of the training."""
    made = problem("poisson", reads=2e7, widths=(12,))
    positions = [made.z + 3.0]
    for _ in range(5):
        positions.append(lbfgs(made.objective(), positions[-1], max_iter=2).z)
        assert ((positions[-1] - positions[-2]).norm(dim=-1) <= LONGEST_STEP * (1 + 1e-9)).all()


@both
def test_start_is_not_changed(problem, minimise) -> None:
    """The caller's tensor stays as it was."""
    made = problem()
    start = made.z + 0.5
    before = start.clone()
    minimise(made.objective(), start, max_iter=10)
    assert torch.equal(start, before)
