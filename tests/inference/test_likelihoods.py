# SPDX-License-Identifier: BSD-3-Clause
"""The contaminated likelihood: its value, its derivatives, and aberrant genes that do not pull."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from pydgd.errors import ConfigError
from pydgd.inference.likelihoods import ABERRANT, LIKELIHOODS, MOST_READS
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.options import LIKELIHOOD_NAMES
from pydgd.inference.search import SearchOptions, find_representations

ROBUST = SearchOptions(likelihood="contaminated")


def contaminated(made) -> FrozenObjective:
    return made.objective().seen_by("contaminated")


def found(made, options: SearchOptions | None = None):
    return find_representations(
        made.model, made.counts, made.scaling_factors, measured=made.measured, options=options
    )


def planted(made, share: float = 0.05):
    """The same samples with a share of their genes at sixteen times the reads."""
    hit = torch.rand(made.counts.shape, generator=torch.Generator().manual_seed(1)) < share
    return replace(made, counts=torch.where(hit, 16 * made.counts, made.counts))


def test_broad_part_is_a_distribution() -> None:
    """Its masses up to a billion reads sum to 1: ln((k + 2)/(k + 1)) telescopes."""
    k = np.arange(10**6)
    assert np.log1p(1 / (k + 1)).sum() == pytest.approx(np.log(10**6 + 1))
    assert MOST_READS == 1e9


@pytest.mark.parametrize("share_measured", [1.0, 0.6])
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_value_agrees_with_scipy(problem, name: str, share_measured: float) -> None:
    """The mixture of SciPy's mass with a log-uniform one, over the measured genes."""
    made = planted(problem(name, share_measured=share_measured))
    outputs = made.model.decoder(made.z.float())
    module, seen = made.model.decoder.output_module, made.measured.numpy()
    mu = (module.means_of(outputs) * made.scaling_factors[:, None]).double().numpy()
    log_r, k = module.log_r_of(outputs), made.counts.double().numpy()
    if log_r is None:
        usual = stats.poisson.pmf(k, mu)
    else:
        r = np.broadcast_to(log_r.double().exp().numpy(), mu.shape)
        usual = stats.nbinom.pmf(k, r, r / (r + mu))
    mass = (1 - ABERRANT) * usual + ABERRANT * np.log1p(1 / (k + 1)) / np.log(MOST_READS + 2)
    np.testing.assert_allclose(contaminated(made).nll(made.z), -np.log(mass[:, seen]).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "poisson"])
def test_gradient_is_that_of_the_value_and_the_curvature_positive(
    problem, name: str, activation: str
) -> None:
    """The formula gives what differentiation gives; EM's curvature has a Cholesky factor."""
    made = planted(problem(name, activation=activation, share_measured=0.7))
    objective = contaminated(made)
    _, expected = objective.value_and_gradient(made.z + 0.2)
    system = objective.newton_system(made.z + 0.2)
    torch.testing.assert_close(system.gradient, expected, rtol=1e-4, atol=1e-2)
    assert (torch.linalg.eigvalsh(system.curvature) > 0).all()


@pytest.mark.parametrize("widths", [(), (12,)])
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion"])
def test_aberrant_genes_do_not_pull(problem, name: str, widths: tuple[int, ...]) -> None:
    """5 % of genes at sixteen times the reads move z at most a fifth as far as by the plain likelihood."""
    made = problem(name, widths=widths, n_genes=600, n_samples=12)
    changed = planted(made)
    plain = (found(changed).z - found(made).z).norm(dim=1)
    robust = (found(changed, ROBUST).z - found(made, ROBUST).z).norm(dim=1)
    assert robust.mean() < 0.2 * plain.mean()


def test_same_optimum_where_nothing_is_aberrant(problem) -> None:
    """Within a third of what the counts leave open of z, and a tenth on the whole."""
    made = problem(n_genes=600, n_samples=12)
    plain = find_representations(made.model, made.counts, made.scaling_factors, curvature=True)
    away = found(made, ROBUST).z - plain.z
    squared = (away.unsqueeze(1) @ plain.curvature @ away.unsqueeze(2)).flatten() / away.shape[1]
    assert squared.sqrt().max() < 0.33
    assert squared.sqrt().mean() < 0.1


def test_converges_and_reports_the_plain_nll(problem) -> None:
    """The certificate is of what was minimised; `nll` stays comparable with other samples'."""
    made = planted(problem(n_genes=600))
    end = found(made, ROBUST)
    assert (end.decrement < 1e-3).all()
    torch.testing.assert_close(end.nll, made.objective().nll(end.z), rtol=1e-7, atol=0)
    assert (end.value < contaminated(made).value(found(made).z) + 1e-3).all()


def test_refused_by_name() -> None:
    """An unknown name, or a scheme that is bulkdgd's."""
    assert set(LIKELIHOODS) == set(LIKELIHOOD_NAMES)
    with pytest.raises(ConfigError, match="likelihood must be one of plain, contaminated, got 'nb'"):
        SearchOptions(likelihood="nb")
    with pytest.raises(ConfigError, match="scheme 'two_opt' knows likelihood 'plain'"):
        SearchOptions(scheme="two_opt", likelihood="contaminated")
