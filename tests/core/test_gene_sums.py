# SPDX-License-Identifier: BSD-3-Clause
"""Gradients of sums over genes: whose they are, what a second backward pass gives, and scaling factors."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pydgd.core.dispersion import DispersionRows
from pydgd.core.distributions import log_factorial, nb_constants, nb_log_mass, nb_nll, poisson_nll
from pydgd.core.evaluation import exact_nb, fast_nb, fast_poisson
from pydgd.core.gene_sums import GeneSums

N, G = 7, 40

SHAPES_OF_R = [(1, G), (N, G)]


def draw(seed: int, dtype: torch.dtype = torch.float32, r_shape=(1, G)) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, means and log r as an expression matrix has them."""
    generator = torch.Generator().manual_seed(seed)
    mu = torch.exp(torch.randn(N, G, generator=generator) * 2.5 + 3).to(dtype)
    log_r = (torch.randn(r_shape, generator=generator) * 2 + 1).to(dtype)
    return torch.poisson(mu, generator=generator), mu, log_r


def gradients(nll: Tensor, *inputs: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
    return torch.autograd.grad((nll if weights is None else nll * weights).sum(), inputs, retain_graph=True)


Sum = Callable[[Tensor, Tensor, Tensor], Tensor]

TRAINED: dict[str, Sum] = {
    "nb": nb_nll,
    "frozen": lambda k, m, log_r: nb_nll(k, m, log_r.detach(), constants=nb_constants(k, log_r.detach())),
    "poisson": lambda k, m, _: poisson_nll(k, m),
}


@pytest.mark.parametrize("form", TRAINED)
@pytest.mark.parametrize("r_shape", SHAPES_OF_R)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_graph_may_be_used_twice(form: str, r_shape, dtype: torch.dtype) -> None:
    """Every backward pass through a retained graph, with whatever weights, gives the right gradients."""
    counts, mu, log_r = draw(17, dtype, r_shape)
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    inputs = (mu, log_r) if form == "nb" else (mu,)
    nll = TRAINED[form](counts, mu, log_r)
    weights = [
        torch.ones(N),
        torch.full((N,), 0.25),
        torch.linspace(0.0, 2.0, N),
        torch.zeros(N),
        torch.ones(N),
    ]
    for weight in [*weights, *reversed(weights)]:
        fresh = TRAINED[form](counts, mu, log_r)
        expected = torch.autograd.grad((fresh * weight).sum(), inputs)
        for got, truth in zip(gradients(nll, *inputs, weights=weight), expected, strict=True):
            assert torch.equal(got, truth)


@pytest.mark.parametrize("form", TRAINED)
def test_a_gradient_changed_in_place_leaves_the_graph_alone(form: str) -> None:
    """What backward hands out is the caller's, also while the graph is retained."""
    counts, mu, log_r = draw(18)
    mu.requires_grad_()
    nll = TRAINED[form](counts, mu, log_r)
    (first,) = torch.autograd.grad(nll.mean(), mu, retain_graph=True)
    kept = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(nll.mean(), mu)
    assert torch.equal(second, kept)


@pytest.mark.parametrize(
    ("form", "changed"),
    [
        (form, name)
        for form in TRAINED
        for name in ("counts", "mu", "log_r")
        if (form, name) != ("poisson", "log_r")
    ],
)
def test_inputs_changed_before_backward_are_an_error(form: str, changed: str) -> None:
    """Torch's own check answers, where a gradient would silently be wrong."""
    counts, mu, log_r = draw(19)
    start = mu.clone().requires_grad_()
    inputs = {"counts": counts, "mu": start * 1.0, "log_r": log_r}
    nll = TRAINED[form](*inputs.values())
    with torch.no_grad():
        inputs[changed].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        nll.sum().backward()


@pytest.mark.parametrize("form", TRAINED)
@pytest.mark.parametrize("masked", [False, True])
def test_scaling_factors_are_a_multiplication(form: str, masked: bool) -> None:
    """Given apart, they change no value by a bit; one row of means serves all samples."""
    counts, mu, log_r = draw(20)
    factors = torch.linspace(0.5, 900.0, N)
    options = {"mask": torch.arange(G) % 3 > 0 if masked else None}
    if form == "frozen":
        options["constants"] = nb_constants(counts, log_r, mask=options["mask"])
    arguments = () if form == "poisson" else (log_r,)
    sums = poisson_nll if form == "poisson" else nb_nll
    for means in (mu.requires_grad_(), mu[:1].detach().requires_grad_()):
        inside = sums(counts, means.expand(N, G), *arguments, scaling_factors=factors, **options)
        outside = sums(counts, means * factors[:, None], *arguments, **options)
        assert torch.equal(inside, outside)
        pair = (torch.autograd.grad(nll.mean(), means)[0] for nll in (inside, outside))
        torch.testing.assert_close(*pair, rtol=1e-6, atol=0)


def test_scaling_factors_that_want_a_gradient_are_an_error() -> None:
    """They would silently get none."""
    counts, mu, log_r = draw(21)
    with pytest.raises(ValueError, match=r"scaling_factors.*Multiply"):
        nb_nll(counts, mu, log_r, scaling_factors=torch.ones(N, requires_grad=True))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("r_shape", SHAPES_OF_R)
@pytest.mark.parametrize("block", [None, 1, 3 * G])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_are_those_of_the_elements(masked: bool, r_shape, block: int | None, dtype: torch.dtype) -> None:
    """Value, gradients and weights, with scaling factors, whatever the block; 0 for genes without counts."""
    counts, mu, log_r = draw(22, dtype, r_shape)
    factors, weights = torch.linspace(0.5, 9.0, N), torch.linspace(1.0, 3.0, N).double()
    columns = torch.arange(3, G, 2) if masked else None
    make = fast_nb if dtype == torch.float32 else exact_nb
    evaluator = make(DispersionRows(log_r, columns), mu.new_empty(()), slope=True)
    sums = GeneSums(columns, evaluator, block, factors)
    total, to_mu, to_r = sums.run(counts, mu, log_r, (True, True), weights)

    exact_mu, exact_r = mu.double().requires_grad_(), log_r.double().requires_grad_()
    chosen = slice(None) if columns is None else columns
    each = nb_log_mass(counts, exact_mu * factors[:, None], exact_r)[:, chosen]
    missing = log_factorial(counts)[:, chosen].sum(-1) if dtype == torch.float32 else 0.0
    torch.testing.assert_close(total, (each.sum(-1) + missing).detach(), rtol=1e-5, atol=1e-4)
    (expected,) = torch.autograd.grad(each.sum(), exact_mu, retain_graph=True)
    torch.testing.assert_close(to_mu.double(), -expected, rtol=1e-4, atol=1e-5)
    weighted = each * weights[:, None] if len(log_r) == 1 else each
    (expected,) = torch.autograd.grad(weighted.sum(), exact_r)
    torch.testing.assert_close(to_r.double(), -expected, rtol=1e-4, atol=1e-3)
    assert (to_mu.dtype, to_r.dtype, total.dtype) == (dtype, dtype, torch.float64)


def test_gradients_that_are_not_wanted_are_not_made() -> None:
    """Nor is one in r of a distribution without r."""
    counts, mu, log_r = draw(23)
    sums = GeneSums(None, fast_nb(DispersionRows(log_r), mu.new_empty(()), slope=False), None, None)
    assert sums.run(counts, mu, log_r, (False, False))[1:] == (None, None)
    assert GeneSums(None, fast_poisson(), None, None).run(counts, mu, None, (False, True))[2] is None


def test_factors_do_not_make_a_gradient_infinite() -> None:
    """It ends at the largest number of its dtype."""
    sums = GeneSums(None, fast_poisson(), None, torch.tensor([1e4]))
    _, to_mu, _ = sums.run(torch.tensor([[1e8, 0.0]]), torch.tensor([[1e-34, 1.0]]), None, (True, False))
    assert to_mu.tolist() == [[-torch.finfo(torch.float32).max, 1e4]]


@pytest.mark.parametrize("columns", [None, torch.tensor([0, 5, 39])])
@pytest.mark.parametrize("block", [None, 1])
def test_factorials_are_summed_from_what_is_known(columns: Tensor | None, block: int | None) -> None:
    """Of each count, of each sum, or of nothing."""
    counts = draw(24)[0]
    sums, known = GeneSums(columns, fast_poisson(), block, None), log_factorial(counts)
    expected = known.sum(-1) if columns is None else known[:, columns].sum(-1)
    torch.testing.assert_close(sums.factorials(counts, None), expected, rtol=1e-7, atol=1e-5)
    torch.testing.assert_close(sums.factorials(counts, known), expected, rtol=1e-14, atol=0.0)
    assert sums.factorials(counts, expected) is expected


def test_the_way_to_sum_does_not_change() -> None:
    """A backward pass goes by what forward went by."""
    sums = GeneSums(None, fast_poisson(), None, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        sums.block = 1
