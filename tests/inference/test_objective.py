# SPDX-License-Identifier: BSD-3-Clause
"""The objective of the search, its gradient and its curvature."""

import numpy as np
import pytest
import torch

from pydgd.inference.objective import FrozenObjective

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]
MEANS_ONLY = ["nb_feature_dispersion", "poisson"]


@pytest.mark.parametrize("prior", ["em", "gradient"])
@pytest.mark.parametrize("share_measured", [1.0, 0.6])
@pytest.mark.parametrize("widths", [(), (12,)])
@pytest.mark.parametrize("name", MODULES)
def test_value_agrees_with_scipy(
    problem, name: str, widths: tuple[int, ...], share_measured: float, prior: str
) -> None:
    """-ln p(x, z) in float64, to the digits of the float32 decoder; nll is the same without the prior."""
    made = problem(name, widths=widths, share_measured=share_measured, prior=prior)
    objective = made.objective()
    found = objective.value(made.z)
    assert found.dtype == torch.float64
    expected = [made.reference(i)(made.z[i].numpy()) for i in range(len(found))]
    np.testing.assert_allclose(found, expected, rtol=3e-6)
    with torch.no_grad():
        np.testing.assert_allclose(
            objective.nll(made.z), found + made.model.prior.log_prob(made.z), rtol=1e-9
        )


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("widths", [(), (12,)])
def test_gradient_agrees_with_differences_of_the_reference(
    problem, name: str, widths: tuple[int, ...]
) -> None:
    """Central differences of SciPy's objective."""
    made = problem(name, widths=widths)
    _, gradient = made.objective().value_and_gradient(made.z + 0.2)
    step = 1e-5 * np.eye(4)
    for sample, z in enumerate((made.z + 0.2).numpy()):
        f = made.reference(sample)
        expected = [(f(z + e) - f(z - e)) / 2e-5 for e in step]
        np.testing.assert_allclose(gradient[sample], expected, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("prior", ["em", "gradient"])
@pytest.mark.parametrize("share_measured", [1.0, 0.6])
@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("name", MEANS_ONLY)
def test_newton_gradient_equals_autograd(
    problem, name: str, activation: str, share_measured: float, prior: str
) -> None:
    """The formula for linear decoders gives what differentiation gives."""
    made = problem(name, activation=activation, share_measured=share_measured, prior=prior)
    objective = made.objective()
    _, expected = objective.value_and_gradient(made.z + 0.2)
    found = objective.newton_system(made.z + 0.2).gradient
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("name", MEANS_ONLY)
def test_curvature_is_that_of_the_objective_where_the_link_is_a_logarithm(
    problem, name: str, activation: str
) -> None:
    """With small means and one component it is the Hessian, here by differences of the exact gradient."""
    made = problem(name, activation=activation, n_genes=2000, n_components=1, reads=1e6)
    objective, z, step = made.objective(), 0.2 * made.z, 1e-3
    assert made.model.decoder(z.float()).max() < 0.1
    found = objective.newton_system(z).curvature
    for d in range(4):
        e = step * torch.eye(4, dtype=torch.float64)[d]
        after, before = (objective.value_and_gradient(z + sign * e)[1] for sign in (1, -1))
        expected = (after - before) / (2 * step)
        np.testing.assert_allclose(found[:, d], expected, rtol=0.03, atol=0.03 * found.abs().max().item())


@pytest.mark.parametrize("name", MEANS_ONLY)
def test_expected_curvature_is_the_fisher_information(problem, name: str) -> None:
    """Averaged over draws it is J' diag(I) J plus the prior's precision, J a numerical Jacobian of ln mu."""
    made = problem(name, n_samples=1, n_genes=50)
    z, n = made.z, 4000
    module = made.model.decoder.output_module
    with torch.no_grad():
        mu = made.model.decoder(z.float()) * made.scaling_factors[:, None]
        log_r = module.log_r_of(mu)
        draws = module._family.draw(
            n, torch.Generator().manual_seed(1), *(x for x in (mu, log_r) if x is not None)
        )[:, 0]
    objective = FrozenObjective(made.model, draws, made.scaling_factors.expand(n), made.measured)
    found = objective.newton_system(z.expand(n, -1)).curvature.mean(dim=0)
    with torch.no_grad():
        eye = 1e-3 * torch.eye(4)
        jacobian = torch.stack(
            [
                (made.model.decoder(z.float() + e).log() - made.model.decoder(z.float() - e).log())[0] / 2e-3
                for e in eye
            ]
        ).double()
        r = torch.full_like(mu, torch.inf) if log_r is None else log_r.exp()
        information = (1 / (1 / mu + 1 / r)).double()
        expected = (jacobian * information) @ jacobian.T + made.model.prior.precisions(z)[0]
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.01 * expected.abs().max().item())


def test_curvature_is_positive_definite_for_extreme_counts(problem) -> None:
    """One gene with 1e8 reads outweighs the others in float32; the prior still makes the rest definite."""
    for name in MEANS_ONLY:
        made = problem(name)
        made.counts[:, 7] = 1e8
        made.counts[:3, 8:] = 0
        curvature = (
            FrozenObjective(made.model, made.counts, made.counts.sum(dim=1), made.measured)
            .newton_system(made.z)
            .curvature
        )
        assert (torch.linalg.eigvalsh(curvature) > 0).all()


@pytest.mark.parametrize("widths", [(), (12,)])
def test_a_place_is_decoded_once(problem, widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Value and curvature at one place share its outputs; another place in the same tensor has its own."""
    made = problem("nb_feature_dispersion", widths=widths)
    decoder, objective, z = made.model.decoder, made.objective(), made.z.clone()
    calls, plain = [], decoder.forward_by_row
    monkeypatch.setattr(decoder, "forward_by_row", lambda z: calls.append(len(z)) or plain(z))
    for _ in range(2):
        found = objective.value(z), objective.curvature(z), objective.nll(z)
        expected = made.objective().value(z), made.objective().curvature(z), made.objective().nll(z)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        z += 0.1
    assert len(calls) == 2 * (1 + 3)
