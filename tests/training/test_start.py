# SPDX-License-Identifier: BSD-3-Clause
"""The start from the data: components, regression, dispersion."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import Tensor

from pydgd.core.decoder import Decoder
from pydgd.training.start import LEAST_R, MOST_R, moment_r, principal_components, start_decoder

RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x.mean(dim=1),
    "total": lambda x: x.sum(dim=1),
}


def generator(seed: int = 0) -> torch.Generator:
    """A source of randomness."""
    return torch.Generator().manual_seed(seed)


def components(x: Tensor, latent_dim: int, *, rule: str = "total", seed: int = 0) -> Tensor:
    """Principal components under a scaling rule."""
    return principal_components(x, RULES[rule](x), latent_dim, generator=generator(seed)).z


def make_decoder(
    n_genes: int, latent_dim: int, *, name: str = "nb_feature_dispersion", widths=(), dropout=0.0
) -> Decoder:
    """An untrained decoder."""
    options = {"output_dim": n_genes, **({"r_init": 1.0} if name == "nb_feature_dispersion" else {})}
    return Decoder(latent_dim, widths, ["elu"] * len(widths), name, options, dropout)


def mean_nll(decoder: Decoder, x: Tensor, s: Tensor, z: Tensor) -> float:
    """Nats per count."""
    with torch.no_grad():
        return decoder.output_module.nll(x, decoder(z), s).mean().item() / x.shape[1]


@pytest.mark.parametrize("rule", RULES)
def test_principal_components_agree_with_sklearn(counts: np.ndarray, rule: str) -> None:
    """Each is scikit-learn's, scaled to unit variance, up to its sign; s counts by its ratios alone."""
    x = torch.tensor(counts)
    logs = np.log1p(counts / (counts.mean(axis=1, keepdims=True, dtype=np.float64)))
    expected = PCA(5, svd_solver="full").fit_transform(logs)
    expected /= expected.std(axis=0)
    found = components(x, 5, rule=rule).numpy()
    np.testing.assert_allclose(np.abs(found.T @ expected) / len(x), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(found.var(axis=0), 1.0, rtol=1e-5)


def test_largest_entry_of_a_component_is_positive(counts: np.ndarray) -> None:
    """Signs do not depend on the eigenvalue routine."""
    z = components(torch.tensor(counts), 5)
    assert (z.gather(0, z.abs().argmax(dim=0, keepdim=True)) > 0).all()


@pytest.mark.parametrize(
    ("change", "rank"), [("duplicates", 2), ("two genes", 2), ("equal", 0), ("one gene", 1)]
)
def test_dimensions_beyond_the_rank_are_small_noise(counts: np.ndarray, change: str, rank: int) -> None:
    """What the data do not span starts near zero, not as rounding errors blown up to unit variance."""
    x = torch.tensor(counts)
    x = {
        "duplicates": x[torch.arange(60) % 3],
        "two genes": x[:, :2],
        "equal": x[:1].repeat(60, 1),
        "one gene": x[:, :1],
    }[change]
    # One gene alone is always all of a sample's reads: depth is then a constant.
    s = torch.ones(len(x)) if x.shape[1] < 3 else x.sum(dim=1)
    spread = principal_components(x, s, 6, generator=generator()).z.std(dim=0, correction=0)
    torch.testing.assert_close(spread[:rank], torch.ones(rank), rtol=1e-5, atol=0)
    assert (spread[rank:] < 0.05).all()
    assert (spread[rank:] > 0).all()


@pytest.mark.parametrize("widths", [(), (32,)])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_start_beats_the_mean_profile(
    counts: np.ndarray, name: str, rule: str, widths: tuple[int, ...]
) -> None:
    """The regression is worth more than 0.2 nats per count over one mean per gene with the best r for it."""
    x = torch.tensor(counts)
    s = RULES[rule](x)
    z = principal_components(x, s, 4, generator=generator()).z
    decoder = make_decoder(200, 4, name=name, widths=widths)
    start_decoder(decoder, x, s, z, generator=generator())
    scale = s.double().numpy()[:, None]
    mu = (counts / scale).mean(axis=0) * scale
    if name == "poisson":
        alone = -stats.poisson.logpmf(counts, mu).mean()
    else:
        r = np.exp(np.linspace(-3, 5, 33))[:, None, None]
        alone = -stats.nbinom.logpmf(counts, r, r / (r + mu)).mean(axis=1).max(axis=0).mean()
    assert mean_nll(decoder, x, s, z) < alone - 0.2


@pytest.mark.parametrize("rule", RULES)
def test_start_keeps_the_mean_of_each_gene(counts: np.ndarray, rule: str) -> None:
    """Expected reads add up to the observed ones, the better the more the link is a logarithm."""
    x = torch.tensor(counts)
    s = RULES[rule](x)
    z = principal_components(x, s, 4, generator=generator()).z
    decoder = make_decoder(200, 4)
    start_decoder(decoder, x, s, z, generator=generator())
    with torch.no_grad():
        ratio = (decoder(z) * s[:, None]).sum(dim=0) / x.sum(dim=0)
    torch.testing.assert_close(ratio, torch.ones(200), rtol=2e-3 if rule == "total" else 0.35, atol=0)


def test_gene_that_makes_up_an_organs_reads_starts_there_at_its_share(counts: np.ndarray) -> None:
    """As albumin in the liver: a sixth of the reads there, next to none elsewhere."""
    organ = np.arange(len(counts)) % 10 == 0
    counts = counts.copy()
    counts[:, 0] = np.where(organ, counts[:, 1:].sum(axis=1) // 5, 1)
    x = torch.tensor(counts)
    s = x.sum(dim=1)
    z = principal_components(x, s, 4, generator=generator()).z
    decoder = make_decoder(200, 4)
    start_decoder(decoder, x, s, z, generator=generator())
    with torch.no_grad():
        share = decoder(z)[:, 0]
    assert 0.08 < share[torch.as_tensor(organ)].median() < 0.33
    assert share[torch.as_tensor(~organ)].median() < 1e-2


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("rule", RULES)
def test_odd_counts_start_finite(odd_counts: np.ndarray, rule: str, activation: str) -> None:
    """Parameters, means and likelihood are finite, whatever the counts."""
    x = torch.tensor(odd_counts)
    s = RULES[rule](x)
    z = principal_components(x, s, 8, generator=generator()).z
    decoder = Decoder(8, [], [], "nb_full_dispersion", {"output_dim": x.shape[1], "activation": activation})
    start_decoder(decoder, x, s, z, generator=generator())
    assert z.isfinite().all()
    assert all(parameter.isfinite().all() for parameter in decoder.parameters())
    assert np.isfinite(mean_nll(decoder, x, s, z))


def test_start_depends_on_its_generator_alone(counts: np.ndarray) -> None:
    """Hidden layers and noise are drawn from it; dropout draws nothing."""
    x = torch.tensor(counts)

    def state(seed: int) -> Tensor:
        z = components(x[:, :3], 4, seed=seed)
        decoder = make_decoder(200, 4, widths=(8,), dropout=0.5)
        start_decoder(decoder, x, x.sum(dim=1), z, generator=generator(seed))
        return torch.cat([parameter.flatten() for parameter in decoder.parameters()])

    before = torch.get_rng_state()
    first = state(0)
    assert torch.equal(first, state(0))
    assert not torch.equal(first, state(1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert torch.equal(first, state(0))
    assert before.shape == torch.get_rng_state().shape


@pytest.mark.parametrize("r", [0.5, 3.0, 50.0])
def test_moment_r_finds_the_r_of_negative_binomials(r: float) -> None:
    """Within 10 % from 20,000 draws around known means, and equal to the formula."""
    rng = np.random.default_rng(3)
    mu = rng.lognormal(4, 0.5, (20_000, 5))
    x = rng.negative_binomial(r, r / (r + mu)).astype(float)
    found = moment_r(torch.tensor(x), torch.tensor(mu)).numpy()
    np.testing.assert_allclose(found, r, rtol=0.1)
    np.testing.assert_allclose(found, (mu**2).sum(axis=0) / ((x - mu) ** 2 - mu).sum(axis=0), rtol=1e-12)


def test_moment_r_stays_in_its_range() -> None:
    """Less spread than Poisson counts gives the largest r, a spike the smallest, no reads a finite one."""
    x = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [9.0, 1e8, 0.0]])
    mu = x.mean(dim=0).expand_as(x)
    assert moment_r(x, mu).tolist() == pytest.approx([MOST_R, 0.5, LEAST_R])
    spike = torch.zeros(100, 1)
    spike[0] = 1e8
    assert moment_r(spike, spike.mean(dim=0).expand_as(spike)).item() == pytest.approx(LEAST_R)
