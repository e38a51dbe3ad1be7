# SPDX-License-Identifier: BSD-3-Clause
"""Half deviances against 60-digit arithmetic."""

import mpmath
import pytest
import torch
from torch import Tensor

from pydgd.core.deviance import Deviance, count_minus_mean, nb_deviance, poisson_deviance
from pydgd.core.stirling import tables

COUNTS = [0.0, 1.0, 3.0, 250.0, 1e5, 1e8]
RATIOS = [1e-6, 0.3, 0.7501, 0.79, 0.999, 1.0, 1 + 1e-6, 1.01, 1.2499, 1.26, 5.0, 1e9]
R = [1e-20, 1e-3, 2.0, 1e6, 1e30]


def grid(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, means near and far from them, and r."""
    axes = (torch.tensor(axis, dtype=dtype) for axis in (COUNTS, RATIOS, R))
    k, ratio, r = (axis.reshape(-1) for axis in torch.meshgrid(*axes, indexing="ij"))
    return k, k.clamp(min=1.0) * ratio, r


def bd0(x: mpmath.mpf, mean: mpmath.mpf) -> mpmath.mpf:
    return (x * mpmath.log(x / mean) if x else 0) - (x - mean)


def check(got: Tensor, truth: list[mpmath.mpf], relative: float, absolute: float) -> None:
    for value, exact in zip(got.tolist(), truth, strict=True):
        assert value == pytest.approx(float(exact), rel=relative, abs=absolute)


@pytest.mark.parametrize(
    ("dtype", "relative", "absolute"), [(torch.float64, 1e-13, 1e-15), (torch.float32, 2e-6, 1e-20)]
)
def test_both_forms_agree_with_mpmath(dtype: torch.dtype, relative: float, absolute: float) -> None:
    """The long form keeps 13 digits, the short one six, near the mean and far from it."""
    k, mu, r = grid(dtype)
    chosen = tables(k, short=dtype == torch.float32)
    found: Deviance = nb_deviance(k, mu, k - mu, r, chosen)
    poisson = poisson_deviance(k, mu, k - mu, chosen)
    with mpmath.workdps(60):
        triples = [tuple(map(mpmath.mpf, t)) for t in zip(k.tolist(), mu.tolist(), r.tolist(), strict=True)]
        excess = [r * (k - m) / (r + m) for k, m, r in triples]
        check(found.excess, excess, relative, absolute)
        check(
            found.of_count,
            [bd0(t[0], t[0] - e) for t, e in zip(triples, excess, strict=True)],
            relative,
            1e-12,
        )
        of_r = [bd0(t[2], t[2] + e) for t, e in zip(triples, excess, strict=True)]
        check(found.of_r, of_r, relative, 1e-12)
        check(poisson, [bd0(t[0], t[1]) for t in triples], relative, 1e-12)


def test_differences_of_large_integers_are_exact() -> None:
    """Integers that float32 does not hold are subtracted before they are rounded."""
    counts, mu = torch.tensor([16_777_217, 99_999_999]), torch.tensor([16_777_216.0, 1e8])
    assert count_minus_mean(counts, mu).tolist() == [1.0, -1.0]
