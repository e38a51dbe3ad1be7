# SPDX-License-Identifier: BSD-3-Clause
"""Every way to evaluate a likelihood stays finite, and exact, for whatever counts, means and r it gets."""

import math

import mpmath
import pytest
import torch
from torch import Tensor

from pydgd.core import compiled
from pydgd.core.dispersion import DispersionRows
from pydgd.core.distributions import nb_constants, nb_log_mass, nb_nll, poisson_log_mass, poisson_nll
from pydgd.core.evaluation import WIDE_BLOCK, Evaluator, exact_poisson, fast_nb, row_blocks

COUNTS = [0.0, 1.0, 2.0, 7.0, 100.0, 12_345.0, 1e6, 1e8]
MEANS = [1e-30, 1e-25, 1e-20, 1e-15, 1e-8, 0.3, 5.0, 1e4, 1e8, 1e12, 1e20, 1e30]
DISPERSIONS = [1e-30, 1e-20, 1e-3, 0.7, 8.0, 1e5, 1e10, 1e20, 1e30]


def grid(dtype: torch.dtype, means: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """All combinations, one gene per row."""
    log_rs = [math.log(r) for r in DISPERSIONS]
    axes = (torch.tensor(axis, dtype=dtype) for axis in (COUNTS, means, log_rs))
    k, m, log_r = (axis.reshape(-1, 1) for axis in torch.meshgrid(*axes, indexing="ij"))
    return k, m.requires_grad_(), log_r.requires_grad_()


def log_masses(k: Tensor, m: Tensor, log_r: Tensor) -> dict[str, Tensor]:
    """Log-mass of each row by every eager path."""
    fixed = log_r.detach()
    return {
        "nb_log_mass": nb_log_mass(k, m, log_r)[:, 0],
        "nb_nll": -nb_nll(k, m, log_r),
        "nb_nll, r by gene": -torch.cat([nb_nll(k[[i]], m[[i]], log_r[[i]]) for i in range(0, len(k), 7)]),
        "frozen": -nb_nll(k, m, fixed, constants=nb_constants(k, fixed)),
        "poisson_log_mass": poisson_log_mass(k, m)[:, 0],
        "poisson_nll": -poisson_nll(k, m),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_on_the_whole_grid(dtype: torch.dtype) -> None:
    """No NaN, infinity or mass above 1, for k to 1e8, m 0 and 1e-30 to 1e30, r 1e-30 to 1e30."""
    k, m, log_r = grid(dtype, [0.0, *MEANS])
    for name, value in log_masses(k, m, log_r).items():
        assert value.isfinite().all(), name
        assert (value <= 2e-6).all(), name
        gradients = torch.autograd.grad(value.sum(), (m, log_r), allow_unused=True)
        assert all(g.isfinite().all() for g in gradients if g is not None), name


def truths(k: Tensor, m: Tensor, log_r: Tensor) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Log-mass of negative binomial and Poisson with 80 digits, at the numbers the tensors hold."""
    found = []
    with mpmath.workdps(80):
        for row in zip(k[:, 0].tolist(), m[:, 0].tolist(), log_r[:, 0].tolist(), strict=True):
            x, mean, r = mpmath.mpf(row[0]), mpmath.mpf(row[1]), mpmath.exp(mpmath.mpf(row[2]))
            shape = mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
            nb = shape + r * mpmath.log(r / (r + mean)) + x * mpmath.log(mean / (r + mean))
            found.append((nb, x * mpmath.log(mean) - mean - mpmath.loggamma(x + 1)))
    return found


@pytest.mark.parametrize(
    ("dtype", "relative", "absolute"), [(torch.float64, 1e-12, 1e-12), (torch.float32, 2e-6, 2e-4)]
)
def test_values_agree_with_mpmath_on_the_whole_grid(
    dtype: torch.dtype, relative: float, absolute: float
) -> None:
    """The figures of the design hold for means from 1e-30 to 1e30, also with the dispersion frozen."""
    k, m, log_r = grid(dtype, MEANS)
    exact = truths(k, m, log_r)
    for name, value in log_masses(k, m, log_r).items():
        step = 7 if name.endswith("by gene") else 1
        for got, row in zip(value.tolist(), exact[::step], strict=True):
            truth = float(row[name.startswith("poisson")])
            assert abs(got - truth) <= max(absolute, relative * abs(truth)), (name, got, truth)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fractions_follow_the_continuous_formula(dtype: torch.dtype) -> None:
    """Counts should be whole, but between whole numbers the log-mass is that of lgamma, below 1 too."""
    k = torch.tensor([0.01, 0.3, 0.7, 0.99, 1.5], dtype=dtype)[:, None]
    m, log_r = torch.tensor([1e-25, 1e-3, 2.0, 1e4], dtype=dtype), torch.tensor([-80.0, -5.0, 0.0, 3.0, 60.0])
    rows = torch.cartesian_prod(k[:, 0].double(), m.double(), log_r.double()).to(dtype)
    k, m, log_r = (rows[:, i : i + 1].clone() for i in range(3))
    m, log_r = m.requires_grad_(), log_r.requires_grad_()
    exact = truths(k, m, log_r)
    value, poisson = nb_log_mass(k, m, log_r), poisson_log_mass(k, m)
    gradients = torch.autograd.grad(value.sum(), (m, log_r))
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    for i, (nb_truth, poisson_truth) in enumerate(exact):
        assert value[i].item() == pytest.approx(float(nb_truth), rel=tolerance, abs=tolerance)
        assert poisson[i].item() == pytest.approx(float(poisson_truth), rel=tolerance, abs=tolerance)
        with mpmath.workdps(80):
            x, mean = mpmath.mpf(k[i].item()), mpmath.mpf(m[i].item())
            r = mpmath.exp(mpmath.mpf(log_r[i].item()))
            psi = mpmath.digamma(x + r) - mpmath.digamma(r)
            slope = r * (psi + mpmath.log(r / (r + mean)) + (mean - x) / (r + mean))
            score = r * (x - mean) / (r + mean)
        assert gradients[0][i].item() * m[i].item() == pytest.approx(float(score), rel=tolerance, abs=1e-12)
        assert gradients[1][i].item() == pytest.approx(float(slope), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(
    ("rows", "columns", "block"), [(7, 3, 6), (7, 3, 5), (7, 3, 1), (7, 0, 3), (0, 3, 6)]
)
def test_blocks_are_whole_rows(rows: int, columns: int, block: int) -> None:
    """As many as fit, at least one; together all of them."""
    found = [list(range(rows)[part]) for part in row_blocks(rows, columns, block)]
    assert [row for part in found for row in part] == list(range(rows))
    assert all(len(part) == max(1, block // max(1, columns)) for part in found[:-1])


def test_a_block_suits_the_device() -> None:
    """Unless it is given; an accelerator takes wide ones."""
    evaluator = Evaluator(exact_poisson(torch.zeros(())).evaluate, 20)
    assert next(evaluator.rows(torch.zeros(9, 10))) == slice(0, 2)
    assert next(evaluator.rows(torch.zeros(9, 10), 30)) == slice(0, 3)
    wide = torch.empty(WIDE_BLOCK, 10, device="meta")
    assert next(evaluator.rows(wide)) == slice(0, WIDE_BLOCK // 10)


def test_fractions_and_tiny_r_are_sheltered_together() -> None:
    """Each where the other is not: by the float64 formula, to the last digit of float32."""
    k = torch.tensor([[0.3, 1.0, 0.3, 2.0]])
    mu, log_r = torch.full((1, 4), 5.0), torch.tensor([[0.5, -90.0, -90.0, 0.5]])
    truth = nb_log_mass(k, mu.double(), log_r.double())
    evaluator = fast_nb(DispersionRows(log_r), mu.new_empty(()), slope=True, each=True)
    for columns in ([0, 1, 2, 3], [0, 3], [1, 3], [3]):
        some = fast_nb(DispersionRows(log_r[:, columns]), mu.new_empty(()), slope=True, each=True)
        found = some.evaluate(k[:, columns], mu[:, columns], slice(0, 1), None)
        torch.testing.assert_close(found.value, truth[:, columns], rtol=3e-7, atol=3e-7)
    slope = evaluator.evaluate(k, mu, slice(0, 1), None).slope
    assert slope is not None
    torch.testing.assert_close(slope[0, 1:3].double(), torch.ones(2).double(), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rows_of_r", [1, 6])
def test_compiled_paths_are_right_before_they_are_compiled(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, masked: bool, rows_of_r: int
) -> None:
    """The same Python, run as it is: value and gradients, with tiny means and r that are sheltered."""
    monkeypatch.setattr(compiled, "_fused", lambda kernel: kernel)
    generator = torch.Generator().manual_seed(3)
    mu = torch.exp(torch.randn(6, 30, generator=generator) * 2.5 + 3)
    counts = torch.poisson(mu, generator=generator)
    mu[0, 0], mu[2, 3] = 0.0, 1e-30
    log_r = torch.randn(rows_of_r, 30, generator=generator) * 2 + 1
    log_r[-1, 5] = -69.0
    mask = torch.arange(30) % 3 < 2 if masked else None
    mu, log_r = mu.to(dtype), log_r.to(dtype)
    for form in ("nb", "frozen", "poisson"):
        found, truth = [], []
        for answers, options, kind in (
            (found, {"compiled": True, "block": 70}, dtype),
            (truth, {}, torch.float64),
        ):
            m, lr = (tensor.detach().to(kind).requires_grad_() for tensor in (mu, log_r))
            if form == "poisson":
                value, wanted = poisson_nll(counts, m, mask=mask, **options), [m]
            elif form == "nb":
                value, wanted = nb_nll(counts, m, lr, mask=mask, **options), [m, lr]
            else:
                constants = nb_constants(counts, lr.detach(), mask=mask)
                value = nb_nll(counts, m, lr.detach(), mask=mask, constants=constants, **options)
                wanted = [m]
            answers += [value, *torch.autograd.grad(value.sum(), wanted)]
        tolerance = 1e-5 if dtype == torch.float32 else 1e-11
        for got, exact in zip(found, truth, strict=True):
            torch.testing.assert_close(got.double(), exact.double(), rtol=tolerance, atol=tolerance)
