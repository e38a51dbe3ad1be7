# SPDX-License-Identifier: BSD-3-Clause
"""Company: no sample and no element is changed by what is evaluated beside it, to the last bit."""

from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

from pydgd.core.dispersion import DispersionRows
from pydgd.core.distributions import nb_constants, nb_log_mass, nb_nll, poisson_log_mass, poisson_nll
from pydgd.core.kernels import Terms
from pydgd.core.tiny_means import nb_elements, poisson_elements, sheltered

N, G = 9, 61
WIDE = 40_000  # genes; from 32,768 on torch splits the sum of a single row among threads


def hostile(dtype: torch.dtype, n_genes: int, rows_of_r: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of which some hold means of 0, tiny and huge ones, NaN, or counts of 1e8; r to both ends."""
    generator = torch.Generator().manual_seed(0)
    mu = torch.exp(torch.randn(N, n_genes, generator=generator) * 2.5 + 3).to(dtype)
    counts = torch.poisson(mu, generator=generator)
    log_r = (torch.randn(rows_of_r, n_genes, generator=generator) * 2 + 1).to(dtype)
    mu[1, 3], mu[2, 4:7], mu[3, 5], mu[4, 8], mu[5] = 0.0, 1e-30, torch.nan, 1e30, 1e-25
    counts[6, 9] = 1e8
    log_r[-1, 10:14] = torch.tensor([-300.0, -69.0, 25.0, 300.0], dtype=dtype)
    return counts, mu, log_r


def sums(rows_of_r: int) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Ways to sum over genes, of counts, means and log r."""
    paths = {
        "nb": nb_nll,
        "frozen": lambda k, m, log_r: nb_nll(k, m, log_r.detach(), constants=nb_constants(k, log_r.detach())),
    }
    return paths if rows_of_r > 1 else {**paths, "poisson": lambda k, m, _: poisson_nll(k, m)}


def check_company(dtype: torch.dtype, rows_of_r: int, n_genes: int, companies: list[list[int]]) -> None:
    """Some rows by themselves have the bits of value and gradients that they have among all."""
    counts, mu, log_r = hostile(dtype, n_genes, rows_of_r)
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    for name, nll in sums(rows_of_r).items():
        wanted = [mu, log_r] if rows_of_r > 1 and name == "nb" else [mu]
        together = nll(counts, mu, log_r)
        gradients = torch.autograd.grad(together.sum(), wanted)
        for rows in companies:
            some = nll(counts[rows], mu[rows], log_r[rows] if rows_of_r > 1 else log_r)
            assert torch.equal(some.nan_to_num(), together[rows].nan_to_num()), (name, rows)
            for found, whole in zip(torch.autograd.grad(some.sum(), wanted), gradients, strict=True):
                assert torch.equal(found[rows].nan_to_num(), whole[rows].nan_to_num()), (name, rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows_of_r", [1, N])
def test_a_sample_does_not_depend_on_the_others(dtype: torch.dtype, rows_of_r: int) -> None:
    """Alone, or with some others in another order."""
    check_company(dtype, rows_of_r, G, [[0], [3], [5], [8], [7, 2, 0], [6, 1]])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nor_does_it_where_threads_share_the_genes(dtype: torch.dtype) -> None:
    """So many genes that torch would split the sum of a single row among its threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check_company(dtype, 1, WIDE, [[0], [6, 1]])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_element_does_not_depend_on_the_others(dtype: torch.dtype) -> None:
    """An element alone has the bits of value and gradients that it has beside zero means and extreme r."""
    counts, mu, log_r = hostile(dtype, G, N)
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    for mass in (nb_log_mass, lambda k, m, r: poisson_log_mass(k, m) + 0 * r):
        whole = mass(counts, mu, log_r)
        gradients = torch.autograd.grad(whole.sum(), (mu, log_r))
        for i, j in ((1, 3), (1, 4), (2, 5), (3, 6), (4, 8), (8, 10), (8, 12), (8, 13), (6, 9), (0, 0)):
            point = mu[i, j], log_r[i, j]
            alone = mass(counts[i, j], *point)
            assert torch.equal(alone, whole[i, j]), (i, j)
            for found, all_found in zip(torch.autograd.grad(alone, point), gradients, strict=True):
                assert torch.equal(found, all_found[i, j]), (i, j)


@pytest.mark.parametrize("masked", [False, True])
def test_whole_blocks_of_zero_means_follow_the_rule(masked: bool) -> None:
    """Where every mean is 0, sums are those of the element-wise rule, in every path."""
    counts, log_r = torch.arange(12.0).reshape(3, 4), torch.tensor([[-70.0, 0.0, 3.0, 70.0]])
    mask = torch.tensor([True, False, True, True]) if masked else torch.ones(4, dtype=torch.bool)
    mu = torch.zeros(3, 4, requires_grad=True)
    constants = nb_constants(counts, log_r, mask=mask)
    truth = -nb_log_mass(counts, mu.double(), log_r.double())[:, mask].sum(-1)
    for nll in (
        nb_nll(counts, mu, log_r, mask=mask),
        nb_nll(counts, mu, log_r, mask=mask, constants=constants),
    ):
        torch.testing.assert_close(nll, truth, rtol=1e-8, atol=1e-5)
        assert (torch.autograd.grad(nll.sum(), mu)[0][:, ~mask] == 0).all()
    poisson = -poisson_log_mass(counts, mu.double())[:, mask].sum(-1)
    torch.testing.assert_close(poisson_nll(counts, mu, mask=mask), poisson, rtol=1e-8, atol=1e-5)


def truth(k: float, mu: float, log_r: float | None) -> tuple[float, float, float]:
    """ln f of the continuous formula, minus its slope in mu, and its slope in ln r; Poisson without r."""
    with mpmath.workdps(80):
        k, mu = mpmath.mpf(k), mpmath.mpf(mu)
        if log_r is None:
            value = k * mpmath.log(mu) - mu - mpmath.loggamma(k + 1)
            return float(value), float(1 - k / mu), 0.0
        r = mpmath.exp(mpmath.mpf(log_r))
        log_p = mpmath.log1p(mu / r)
        gammas = mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1)
        value = gammas + k * mpmath.log(mu / r) - (k + r) * log_p
        psi = mpmath.digamma(k + r) - mpmath.digamma(r)
        slope = r * (psi - log_p + (mu - k) / (r + mu))
        return float(value), float(r * (mu - k) / (r + mu) / mu), float(slope)


COUNTS = [0.0, 1e-3, 0.3, 0.999, 1.0, 1.5, 7.0]


@pytest.mark.parametrize("mu", [1e-25, 1e-3, 2.0, 1e5])
@pytest.mark.parametrize("log_r", [-80.0, -3.0, 0.5, 40.0, None])
def test_single_elements_are_exact(mu: float, log_r: float | None) -> None:
    """Value and slopes in float64, of whole counts and of fractions, below 1 too; less what is left out."""
    k, means = torch.tensor(COUNTS), torch.full((len(COUNTS),), mu, dtype=torch.float64)
    where, rows = torch.ones(1, len(COUNTS), dtype=torch.bool), slice(0, 1)
    if log_r is None:
        elements, less = poisson_elements(), poisson_elements(lambda counts: 2.0 * counts.double())
    else:
        dispersion = DispersionRows(torch.full((1, len(COUNTS)), log_r, dtype=torch.float64))
        elements, less = (
            nb_elements(dispersion),
            nb_elements(dispersion, lambda counts, _: 2.0 * counts.double()),
        )
    found = elements(k, means, rows, where)
    exact = torch.tensor([truth(count, mu, log_r) for count in k.tolist()], dtype=torch.float64)
    torch.testing.assert_close(found.value, exact[:, 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.descent, exact[:, 1], rtol=1e-12, atol=1e-12)
    if log_r is not None:
        torch.testing.assert_close(found.slope, exact[:, 2], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(less(k, means, rows, where).value, exact[:, 0] - 2 * k, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tiny"), [(torch.float32, 1e-20), (torch.float64, 1e-200)])
@pytest.mark.parametrize("finds_least", [False, True])
def test_only_what_needs_it_is_sheltered(dtype: torch.dtype, tiny: float, finds_least: bool) -> None:
    """Means too small for the dtype, NaN, and what else is named: the kernel sees neutral ones there."""
    seen: list[Tensor] = []

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        seen.append(mu)
        least = mu.amin(-1) if finds_least else None
        return Terms((counts + 1).double(), slope=mu.clone(), least=least)

    def elements(counts: Tensor, mu: Tensor, rows: slice, where: Tensor) -> Terms:
        seen.append(mu)
        return Terms(-counts.double(), descent=-counts.double(), slope=-counts.double())

    counts = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    ordinary = torch.tensor([[1.0, 1.1 * tiny, 5.0, 1e30]], dtype=dtype)
    plain = sheltered(kernel, elements, finds_least=finds_least)
    assert plain(counts, ordinary, slice(0, 1), None).value.tolist() == [[2.0, 3.0, 4.0, 5.0]]
    assert len(seen) == 1

    some = ordinary.clone()
    some[0, 1] = 0.9 * tiny
    out = torch.ones(1, 4, dtype=dtype)
    found = plain(counts, some, slice(0, 1), out)
    assert found.value.tolist() == [[2.0, -2.0, 4.0, 5.0]]
    assert out.tolist() == [[1.0, -2.0, 1.0, 1.0]]
    assert found.slope is not None
    assert found.slope[0, 1] == -2.0
    assert seen[-1].tolist() == [some[0, 1].item()]
    assert 0 < seen[-2][0, 1] < 1e-25

    third = torch.tensor([[False, False, True, False]])
    named = sheltered(kernel, elements, lambda _, __: third, finds_least=finds_least)
    assert named(counts, ordinary, slice(0, 1), None).value.tolist() == [[2.0, 3.0, -3.0, 5.0]]
    some[0, 0] = torch.nan
    assert plain(counts, some, slice(0, 1), None).value[0, 1] == -2.0
