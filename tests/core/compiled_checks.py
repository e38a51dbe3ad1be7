# SPDX-License-Identifier: BSD-3-Clause
"""What `test_compiled` runs in a process of its own, ``python compiled_checks.py cpu|cuda``.

In a process of its own because the compiler cannot see through the type checks of the tests.
"""

import itertools
import math
import sys

import torch
from torch import Tensor

from pydgd.core.distributions import nb_constants, nb_nll, poisson_nll
from pydgd.core.outputmodules import OUTPUT_MODULES

HALF = torch.arange(40) % 2 > 0
FORMS = ("nb", "frozen", "poisson")


def draw(dtype: torch.dtype, rows_of_r: int) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, means with a zero and a tiny one, and log r."""
    generator = torch.Generator().manual_seed(15)
    mu = torch.exp(torch.randn(7, 40, generator=generator) * 2.5 + 3)
    counts = torch.poisson(mu, generator=generator)
    mu[0, 0], mu[2, 3] = 0.0, 1e-30
    log_r = torch.randn(rows_of_r, 40, generator=generator) * 2 + 1
    log_r[-1, 5] = -69.0
    return counts, mu.to(dtype), log_r.to(dtype)


def evaluate(
    form: str, counts: Tensor, mu: Tensor, log_r: Tensor, *, mask: Tensor | None = None, **options: bool | int
) -> list[Tensor]:
    """Minus log-likelihood of each row and its gradients, on the CPU."""
    mu, log_r = (tensor.detach().requires_grad_() for tensor in (mu, log_r))
    inputs = [mu]
    if form == "nb":
        nll, inputs = nb_nll(counts, mu, log_r, mask=mask, **options), [mu, log_r]
    elif form == "frozen":
        fixed = log_r.detach()
        constants = nb_constants(counts, fixed, mask=mask)
        nll = nb_nll(counts, mu, fixed, mask=mask, constants=constants, **options)
    else:
        nll = poisson_nll(counts, mu, mask=mask, **options)
    return [tensor.cpu() for tensor in (nll, *torch.autograd.grad(nll.sum(), inputs))]


def check_equal_to_eager(device: str) -> None:
    """Values and gradients, with and without a mask, with r per gene and per element."""
    for form, dtype, rows_of_r, mask in itertools.product(
        FORMS, (torch.float32, torch.float64), (1, 7), (None, HALF)
    ):
        if form == "poisson" and rows_of_r > 1:
            continue
        data = draw(dtype, rows_of_r)
        there = [tensor.to(device) for tensor in data]
        mask_there = None if mask is None else mask.to(device)
        compiled = evaluate(form, *there, mask=mask_there, block=160, compiled=True)
        tolerance = 1e-5 if dtype == torch.float32 else 1e-11
        for a, b in zip(compiled, evaluate(form, *data, mask=mask), strict=True):
            assert torch.allclose(a, b, rtol=tolerance, atol=tolerance), (form, dtype, rows_of_r, mask)


def check_figures(form: str, k: Tensor, m: Tensor, log_r: Tensor, device: str) -> None:
    """Float32 is within its figures of the float64 that the eager kernels give."""
    single = evaluate(form, *(tensor.to(device) for tensor in (k, m, log_r)), compiled=True)
    double = evaluate(form, k, m.double(), log_r.double())
    scale = [(double[0].abs() / 100).clamp(min=1.0), double[1].abs().maximum(1 / m), *double[2:]]
    errors = [
        (a - b).abs() / s.abs().clamp(min=0 if i == 1 else 1.0)
        for i, (a, b, s) in enumerate(zip(single, double, scale, strict=True))
    ]
    for error, bound in zip(errors, (2e-4, 1e-5, 1e-5), strict=False):
        worst = int(error.argmax())
        point = (k.flatten()[worst].item(), m.flatten()[worst].item(), log_r.flatten()[worst].item())
        assert error.max() < bound, (form, error.max().item(), point)


def check_corners(device: str) -> None:
    """Float32 at the extremes that the design names."""
    axes = (
        [0.0, 1.0, 12.0, 1e4, 1e8],
        [1e-8, 0.4, 11.0, 1.01e4, 1e8],
        [-200.0, -69.0, -7.0, 0.0, 8.0, 35.0, 69.0, 300.0],
    )
    grid = torch.meshgrid(*map(torch.tensor, axes), indexing="ij")
    for form in FORMS:
        check_figures(form, *(tensor.reshape(-1, 1) for tensor in grid), device)


def check_scattered(device: str) -> None:
    """Float32 at a hundred thousand points, most of them where terms of 1e8 nats almost cancel."""
    generator = torch.Generator().manual_seed(0)
    n = 100_000
    k = (10 ** (torch.rand(n, 1, generator=generator) * 8)).round()
    m = k * torch.exp(torch.randn(n, 1, generator=generator) * 0.6)
    log_r = (torch.rand(n, 1, generator=generator) * 60 - 30) * math.log(10)
    for form in FORMS:
        check_figures(form, k, m, log_r, device)


def check_integers(device: str) -> None:
    """Counts that float32 does not hold are not rounded before the mean is subtracted."""
    counts = torch.tensor([[16_777_217], [99_999_999]])
    mu, log_r = torch.tensor([[16_777_216.0], [1e8]]), torch.tensor([[30.0]])
    for form in FORMS:
        check_figures(form, counts, mu, log_r.expand(2, 1).contiguous(), device)


def check_finite(device: str) -> None:
    """No NaN or infinity for counts to 1e8, means 0 and 1e-30 to 1e30, r 1e-30 to 1e30, in any dtype."""
    k = [0.0, 1.0, 2.0, 7.0, 100.0, 12_345.0, 1e6, 1e8]
    m = [0.0, 1e-30, 1e-25, 1e-20, 1e-15, 1e-8, 0.3, 5.0, 1e4, 1e8, 1e12, 1e20, 1e30]
    r = [1e-30, 1e-20, 1e-3, 0.7, 8.0, 1e5, 1e10, 1e20, 1e30]
    axes = (torch.tensor(axis, device=device) for axis in (k, m, [math.log(x) for x in r]))
    grid = [tensor.reshape(-1, 1) for tensor in torch.meshgrid(*axes, indexing="ij")]
    for form, dtype in itertools.product(FORMS, (torch.float32, torch.float64)):
        value, *gradients = evaluate(form, *(tensor.to(dtype) for tensor in grid), compiled=True)
        assert all(tensor.isfinite().all() for tensor in (value, *gradients)), (form, dtype)
        assert (value > -2e-6).all(), (form, dtype)


def check_nothing(device: str) -> None:
    """No samples, no genes, and none measured."""
    for shape, mask in (((0, 3), None), ((3, 0), None), ((2, 3), torch.zeros(3, dtype=torch.bool))):
        counts, mu = torch.ones(shape, device=device), torch.ones(shape, device=device)
        there = None if mask is None else mask.to(device)
        for form in FORMS:
            value = evaluate(
                form, counts, mu, torch.zeros(1, shape[1], device=device), mask=there, compiled=True
            )[0]
            assert value.tolist() == [0.0] * shape[0], (form, shape)


def check_modules(device: str) -> None:
    """Output modules hand the wish for a compiled kernel on."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 40, (6, 5), generator=generator).float()
    factors, x = torch.rand(6, generator=generator) * 20.0, torch.randn(6, 4, generator=generator)
    for cls in OUTPUT_MODULES.values():
        options = {"r_init": 2.0} if cls.name == "nb_feature_dispersion" else {}
        module = cls(4, 5, **options)
        eager = module.nll(counts, module(x), factors)
        module = module.to(device)
        data = counts.to(device), module(x.to(device)), factors.to(device)
        compiled = module.nll(*data, compiled=True)
        assert torch.allclose(compiled.cpu(), eager, rtol=1e-5), cls.name


CHECKS = (
    check_modules,
    check_equal_to_eager,
    check_corners,
    check_scattered,
    check_integers,
    check_finite,
    check_nothing,
)

if __name__ == "__main__":
    # Beyond so many variants of a kernel torch falls back to eager mode, which would prove nothing here.
    if hasattr(torch._dynamo.config, "fail_on_recompile_limit_hit"):
        torch._dynamo.config.fail_on_recompile_limit_hit = True
    for check in CHECKS:
        torch.compiler.reset()
        check(sys.argv[1])
