# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method and L-BFGS side by side: budgets, certificates, and one optimum."""

import pytest
import torch
from torch import Tensor

from pydgd.inference.lbfgs import LONGEST_STEP, lbfgs
from pydgd.inference.newton import newton
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum
from pydgd.inference.step_memory import StepMemory


def informed(objective: FrozenObjective, start: Tensor, **options) -> Optimum:
    """L-BFGS that is told the curvature at the start."""
    longest, curvature = LONGEST_STEP * objective.spread, objective.curvature(start)
    return lbfgs(objective, start, memory=StepMemory(start, longest=longest, curvature=curvature), **options)


both = pytest.mark.parametrize("minimise", [newton, informed, lbfgs])
MEANS_ONLY = ["nb_feature_dispersion", "poisson"]


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("name", MEANS_ONLY)
def test_all_find_the_same_optimum(problem, name: str, activation: str) -> None:
    """Curvature from a formula or from differences of gradients: within 5e-3 nats of each other."""
    made = problem(name, activation=activation, n_samples=20)
    ends = [minimise(made.objective(), made.z + 0.2, max_iter=100) for minimise in (newton, informed, lbfgs)]
    for end in ends[1:]:
        torch.testing.assert_close(end.value, ends[0].value, rtol=0, atol=5e-3)


@pytest.mark.parametrize("widths", [(12,), (12, 30)])
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_a_known_curvature_saves_evaluations(problem, name: str, widths: tuple[int, ...]) -> None:
    """With hidden layers and a predicted r too, where it is an approximation; the optimum is the same."""
    made = problem(name, widths=widths, n_samples=20, n_genes=500)
    without, told = (minimise(made.objective(), made.z + 0.2, max_iter=300) for minimise in (lbfgs, informed))
    assert told.evaluations.sum() < 0.8 * without.evaluations.sum()
    torch.testing.assert_close(told.value, without.value, rtol=0, atol=2e-2)


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
    """From far away, with any budget, the objective falls, to the rounding of its float32 terms."""
    made = problem("poisson", reads=2e7)
    far = made.z + 8.0
    value = made.objective().value(far)
    for max_iter in (2, 10, 60):
        end = minimise(made.objective(), far, max_iter=max_iter)
        assert (end.value <= value * (1 + 1e-7)).all()
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
    assert (again.value >= tight.value - 1e-2).all()


@pytest.mark.parametrize("minimise", [informed, lbfgs])
def test_lbfgs_steps_are_short(problem, minimise) -> None:
    """Each trial moves by at most half the prior's spread: no step leaves the region of the training."""
    made = problem("poisson", reads=2e7, widths=(12,))
    objective, positions = made.objective(), [made.z + 3.0]
    longest = LONGEST_STEP * objective.spread
    for _ in range(5):
        positions.append(minimise(objective, positions[-1], max_iter=2).z)
        assert ((positions[-1] - positions[-2]).norm(dim=-1) <= longest * (1 + 1e-9)).all()


@both
def test_start_is_not_changed(problem, minimise) -> None:
    """The caller's tensor stays as it was."""
    made = problem()
    start = made.z + 0.5
    before = start.clone()
    minimise(made.objective(), start, max_iter=10)
    assert torch.equal(start, before)
