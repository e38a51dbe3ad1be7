# SPDX-License-Identifier: BSD-3-Clause
"""Points at which `likelihood.py` judges log-masses, and the truth there by mpmath."""

import math
import random
from typing import NamedTuple

import mpmath
import torch
from torch import Tensor

Point = tuple[float, float, float]  # k, m, log r


class Exact(NamedTuple):
    """Log-masses and their gradients in ln m and ln r."""

    nb: float
    to_log_m: float
    to_log_r: float
    poisson: float
    poisson_to_log_m: float


def exact(k: float, m: float, log_r: float) -> Exact:
    """With 80 digits: at r = 1e30 the terms are 1e32."""
    with mpmath.workdps(80):
        k, m, r = mpmath.mpf(k), mpmath.mpf(m), mpmath.exp(mpmath.mpf(log_r))
        value = mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1)
        value += r * mpmath.log(r / (r + m)) + k * mpmath.log(m / (r + m))
        slope = mpmath.digamma(k + r) - mpmath.digamma(r) + mpmath.log(r / (r + m)) + (m - k) / (r + m)
        poisson = k * mpmath.log(m) - m - mpmath.loggamma(k + 1)
        return Exact(value, r * (k - m) / (r + m), r * slope, poisson, k - m)


def random_points(n: int) -> list[Point]:
    """Counts, means and log r over the whole range: one in ten counts 0, most near the mean."""
    rng = random.Random(0)
    points = []
    for _ in range(n):
        m = 10 ** rng.uniform(-8, 8)
        near = m * 10 ** rng.gauss(0, rng.choice([1e-3, 1e-2, 0.1, 0.5, 2]))
        k = rng.choice([0, 10 ** rng.uniform(0, 8), *[near] * 8])
        exponent = rng.uniform(-30, 30) if rng.random() < 0.5 else rng.uniform(-2, 4)
        points.append((float(min(1e8, round(k))), m, exponent * math.log(10)))
    return points


def dense_points(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Float32 counts, means and log r where terms of up to 1e8 nats almost cancel."""
    generator = torch.Generator().manual_seed(0)
    k = (10 ** (torch.rand(n, 1, generator=generator) * 8)).round()
    m = k * torch.exp(torch.randn(n, 1, generator=generator) * 0.6)
    return k, m, (torch.rand(n, 1, generator=generator) * 60 - 30) * math.log(10)


class Truth:
    """Points as tensors of one dtype, with the exact values at the numbers they hold."""

    def __init__(self, points: list[Point], dtype: torch.dtype) -> None:
        self.k, self.m, self.log_r = (torch.tensor(c, dtype=dtype) for c in zip(*points, strict=True))
        triples = zip(self.k.tolist(), self.m.tolist(), self.log_r.tolist(), strict=True)
        self.exact = Exact(*zip(*(exact(*point) for point in triples), strict=True))


def error(got: Tensor, truth: tuple, scale: float = 1.0) -> float:
    """Largest error in units of max(1, |truth| / scale); infinite where there is a NaN or an infinity."""
    if not got.isfinite().all():
        return math.inf
    pairs = zip(got.tolist(), truth, strict=True)
    return max(float(abs(g - e) / max(1, abs(e) / scale)) for g, e in pairs)
