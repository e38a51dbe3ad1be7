# SPDX-License-Identifier: BSD-3-Clause
"""Dispersions that hold on new samples: refitted to means that did not see the sample, drawn to a trend."""

import torch
from jaxtyping import Float
from torch import Tensor

GENES_AT_ONCE = 1024
# ln r of 1/400 and 8,100: beyond, a negative binomial is all zeros, or Poisson.
_LEAST, _MOST = -6.0, 9.0
_LONGEST_STEP, _CONVERGED, _MOST_STEPS = 1.0, 1e-3, 25
# The curvature only sets the pace of a step and the error of an estimate: a difference of slopes will do.
_DIFFERENCE = 1e-3
# Before the trend is known: r within a factor of 55 of its start, two standard deviations.
_FIRST_VARIANCE = 4.0
# The trend is piecewise linear through the medians of classes of mean, of so many genes at least.
_TREND_CLASSES, _CLASS_SIZE = 20, 50


@torch.no_grad()
def refitted_log_r(
    counts: Float[Tensor, "n genes"], mu: Float[Tensor, "n genes"], start: Float[Tensor, " genes"]
) -> Float[Tensor, " genes"]:
    """Most probable ln r of each gene given expected reads, under a normal prior about a trend in the mean.

    The prior's variance is what is left of the scatter about the trend once the errors of the estimates are
    taken away, so few samples are drawn far and many hardly at all.

    Args:
        counts: Reads.
        mu: Expected reads that do not know the sample, float64, > 0.
        start: ln r as trained.

    Returns:
        ln r, float64, between -6 and 9.

    Source:
        Love, Huber & Anders (2014), Genome Biology 15:550, for the prior.
    """
    start = start.double().clamp(_LEAST, _MOST)
    alone, variance = _most_probable(counts, mu, start, start, torch.full_like(start, _FIRST_VARIANCE))
    trend = _trend(mu.mean(dim=0).log(), alone)
    scatter = (1.4826 * (alone - trend).abs().median()).square()
    prior = (scatter - variance.median()).clamp_min(0.05 * scatter).clamp_min(1e-4)
    return _most_probable(counts, mu, alone, trend, prior.expand_as(trend))[0]


def _most_probable(
    counts: Tensor, mu: Tensor, start: Tensor, centre: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Newton's steps for ln r, and the variance of each estimate."""
    log_r, errors = start.clone(), torch.empty_like(start)
    for genes in torch.split(torch.arange(len(start)), GENES_AT_ONCE):
        running = genes
        for _ in range(_MOST_STEPS):
            k, m, position = counts[:, running].double(), mu[:, running], log_r[running]
            score = _score(k, m, position)
            curvature = (score - _score(k, m, position + _DIFFERENCE)) / _DIFFERENCE
            gradient = score - (position - centre[running]) / variance[running]
            # Far from the optimum the likelihood may bend the other way; its size still sets the pace.
            precision = curvature.abs() + 1 / variance[running]
            step = (gradient / precision).clamp(-_LONGEST_STEP, _LONGEST_STEP)
            log_r[running] = (position + step).clamp(_LEAST, _MOST)
            errors[running] = 1 / precision
            running = running[(log_r[running] - position).abs() > _CONVERGED]
            if not len(running):
                break
    return log_r, errors


def _score(k: Tensor, mu: Tensor, log_r: Tensor) -> Tensor:
    """First derivative of the log-mass in ln r, summed over samples."""
    r = log_r.exp()
    shape = torch.digamma(k + r) - torch.log1p(mu / r) + (mu - k) / (mu + r)
    return r * (shape.sum(dim=0) - len(k) * torch.digamma(r))


def _trend(log_means: Tensor, values: Tensor) -> Tensor:
    """Medians of classes of equal size, in between linear, beyond constant."""
    order = log_means.argsort()
    classes = torch.tensor_split(order, max(1, min(_TREND_CLASSES, len(order) // _CLASS_SIZE)))
    x = torch.stack([log_means[part].median() for part in classes])
    y = torch.stack([values[part].median() for part in classes])
    right = torch.searchsorted(x, log_means).clamp(1, max(1, len(x) - 1))
    if len(x) == 1:
        return y.expand_as(values)
    share = ((log_means - x[right - 1]) / (x[right] - x[right - 1]).clamp_min(1e-12)).clamp(0, 1)
    return y[right - 1] + share * (y[right] - y[right - 1])
