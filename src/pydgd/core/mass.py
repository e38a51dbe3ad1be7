# SPDX-License-Identifier: BSD-3-Clause
"""Log-mass of single counts, differentiable: exact to 1e-12 in float64 and to its last digits in float32."""

import torch
from jaxtyping import Float, Real
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from pydgd.core.deviance import deviance_part
from pydgd.core.dispersion import DispersionRows, scale_of
from pydgd.core.evaluation import BLOCK, Evaluator, exact_nb, exact_poisson, fast_nb, row_blocks
from pydgd.core.kernels import log_factorial_of
from pydgd.core.stirling import stirling_remainders, stirling_zeta, tables


def log_factorial(counts: Real[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Natural log of the factorial of each count: a constant of a data set, so it is computed once.

    Args:
        counts: Counts, any shape and dtype.

    Returns:
        ln(k!) in float64: at a million reads it is 1.3e7, which float32 would round by half a nat.

    Example:
        >>> log_factorial(torch.tensor([0, 1, 5]))
        tensor([0.0000, 0.0000, 4.7875], dtype=torch.float64)
    """
    result = torch.empty(counts.shape, dtype=torch.float64, device=counts.device)
    flat, target = counts.reshape(-1), result.view(-1)
    for part in row_blocks(len(flat), 1, BLOCK):
        counts64 = flat[part].double()
        target[part] = torch.where(counts64 == 1, 0.0, log_factorial_of(counts64))
    return result


def nb_log_mass(
    k: Real[Tensor, "..."], m: Float[Tensor, "..."], log_r: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Element-wise log-mass of the negative binomial, parametrised by the log of the inverse dispersion.

    Finite, with finite gradients, for counts up to 1e9 and any `log_r`: above 69 it is the Poisson limit, and
    far below 0 the mass of positive counts falls with r.

    Args:
        k: Counts >= 0, integers of any dtype; broadcasts with the others.
        m: Means >= 0. At m = 0 with k > 0 the mass is 0: there ln(m / (r + m)) is replaced by ln(1e-10), a
            result above 0 by 0, and the gradient in `m` is k / (1e-10 (r + 1e-10)) - r / (r + 1e-10).
        log_r: Natural log of the inverse dispersion; the variance is m + m^2 / r.

    Returns:
        ln f(k; m, r) in the dtype of `m`. In float64 within 1e-12 max(1, abs(ln f)); in float32 within 2e-5
        up to 100 nats and to the last digits beyond. Differentiable once in `m` and `log_r`; the second
        derivative in `log_r` is `nb_log_r_curvature`.

    Source:
        Loader (2000), Fast and Accurate Computation of Binomial Probabilities.

    Example:
        >>> nb_log_mass(torch.tensor([0, 5]), torch.tensor(5.0), torch.tensor(0.0))
        tensor([-1.7918, -2.7034])
    """
    shape = torch.broadcast_shapes(k.shape, m.shape, log_r.shape)  # type: ignore[no-untyped-call]
    width = shape[-1] if shape else 1
    gene_wise = log_r.numel() == width and log_r.shape[-1:] == shape[-1:]
    flat_r = log_r.reshape(1, width) if gene_wise else _rows(log_r, shape)
    rows = _rows(k, shape), _rows(m, shape)
    value: Tensor = _NBLogMass.apply(*rows, flat_r, (wants_grad(m), wants_grad(log_r)))  # type: ignore[no-untyped-call]
    return value.reshape(shape)


def poisson_log_mass(k: Real[Tensor, "..."], m: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Element-wise log-mass of the Poisson distribution.

    Args:
        k: Counts >= 0, integers of any dtype; broadcasts with `m`.
        m: Means >= 0. At m = 0 with k > 0 the mass is 0: there ln m is replaced by ln(1e-10), and the
            gradient is
            k / 1e-10 - 1.

    Returns:
        ln f(k; m) in the dtype of `m`, as exact as `nb_log_mass`. Differentiable once in `m`.

    Example:
        >>> poisson_log_mass(torch.tensor([0, 5]), torch.tensor(5.0))
        tensor([-5.0000, -1.7403])
    """
    shape = torch.broadcast_shapes(k.shape, m.shape)  # type: ignore[no-untyped-call]
    value: Tensor = _PoissonLogMass.apply(_rows(k, shape), _rows(m, shape), wants_grad(m))  # type: ignore[no-untyped-call]
    return value.reshape(shape)


def nb_log_r_curvature(
    k: Real[Tensor, "..."], m: Float[Tensor, "..."], log_r: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    r"""Second derivative of the negative binomial log-mass in log r, for Newton steps and standard errors.

    Args:
        k: Counts >= 0; broadcasts with the others.
        m: Means >= 0.
        log_r: Natural log of the inverse dispersion.

    Returns:
        :math:`\partial^2 \ln f / \partial (\ln r)^2` in the dtype of `m`; not differentiable itself.

    Example:
        >>> nb_log_r_curvature(torch.tensor(5), torch.tensor(5.0), torch.tensor(0.0))
        tensor(-0.1387)
    """
    with torch.no_grad():
        counts, mu = k.double(), m.double()
        r, inverse, *_ = scale_of(log_r, torch.float64)
        x, y = 1 + mu * inverse, 1 + counts * inverse
        n, q, tilt = counts + r, 1 / y, y / x
        e = (counts - mu) / x
        shape = (
            q.square() * stirling_zeta(n) - stirling_zeta(r) - q * (1 - q) * (0.5 + stirling_remainders(n)[1])
        )
        near = e.square() / n - deviance_part(r, r * tilt, -e, tables(mu))
        # The same, without the difference of two terms near k where the count is far above its mean.
        far = r * tilt.log() - e * (mu * inverse / x + q)
        return (shape * torch.sign(counts) + torch.where(tilt > 2, far, near)).to(m.dtype)


def refuse_second_order() -> None:
    """Called from ``backward``: the gradients are numbers here, so a graph of them would lack derivatives.

    Raises:
        NotImplementedError: If the backward pass records a graph.
    """
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "log-masses are differentiable once, but create_graph=True asks for second derivatives; "
            "the one in log r is nb_log_r_curvature."
        )


def wants_grad(tensor: Tensor) -> bool:
    """Whether a gradient in it will be asked for."""
    return torch.is_grad_enabled() and tensor.requires_grad


def _rows(values: Tensor, shape: torch.Size) -> Tensor:
    """`values` broadcast to `shape` and seen as a matrix; copied only where a view cannot show it."""
    columns = shape[-1] if shape else 1
    return values.expand(shape).reshape(shape[:-1].numel(), columns)


class _NBLogMass(torch.autograd.Function):
    """Both gradients come with the value, because all three share their logs."""

    @staticmethod
    def forward(
        ctx: BackwardCFunction, k: Tensor, m: Tensor, log_r: Tensor, wanted: tuple[bool, bool]
    ) -> Tensor:
        dispersion = DispersionRows(log_r)
        if m.dtype == torch.float64:
            evaluator = exact_nb(dispersion, m.new_empty(()), slope=wanted[1])
        else:
            evaluator = fast_nb(dispersion, m.new_empty(()), slope=wanted[1], each=True)
        value, *gradients = _fill(evaluator, k, m, wanted)
        ctx.save_for_backward(*gradients, log_r)  # type: ignore[arg-type]
        return value

    @staticmethod
    def backward(ctx: BackwardCFunction, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, None]:
        refuse_second_order()
        grad_m, grad_r, log_r = ctx.saved_tensors  # type: ignore[misc]
        to_r = None if grad_r is None else (grad * grad_r).sum_to_size(log_r.shape).to(log_r.dtype)
        return None, None if grad_m is None else grad * grad_m, to_r, None


class _PoissonLogMass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: BackwardCFunction, k: Tensor, m: Tensor, wanted: bool) -> Tensor:  # noqa: FBT001
        value, grad_m, _ = _fill(exact_poisson(m.new_empty(())), k, m, (wanted, False))
        ctx.save_for_backward(grad_m)  # type: ignore[arg-type]
        return value

    @staticmethod
    def backward(ctx: BackwardCFunction, grad: Tensor) -> tuple[None, Tensor, None]:
        refuse_second_order()
        return None, grad * ctx.saved_tensors[0], None


def _fill(
    evaluator: Evaluator, k: Tensor, m: Tensor, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Value of every element, and the gradients in `m` and log r that are wanted."""
    value = torch.empty_like(m, memory_format=torch.contiguous_format)
    grad_m, grad_r = (torch.empty_like(value) if flag else None for flag in wanted)
    for rows in evaluator.rows(m):
        terms = evaluator.evaluate(k[rows], m[rows], rows, None if grad_m is None else grad_m[rows])
        value[rows] = terms.value
        if grad_m is not None:
            grad_m[rows].neg_()
        if grad_r is not None and terms.slope is not None:
            grad_r[rows] = terms.slope
    return value, grad_m, grad_r
