# SPDX-License-Identifier: BSD-3-Clause
"""Expectation-maximisation that gives components which explain nothing a second life."""

import torch
from torch import Tensor

from pydgd.core.latent.covariances import CovarianceType
from pydgd.core.latent.em import EMFit, MixtureParameters, pick_components, run_em
from pydgd.core.latent.shards import ONE_SHARD, Shards, n_rows
from pydgd.core.latent.starts import empirical_covariance

DEAD = 1.0  # rows; a component with fewer explains nothing that another does not


def run_em_with_rescue(
    z: Tensor,
    start: MixtureParameters,
    kind: CovarianceType,
    *,
    reg_covar: float,
    tol: float,
    max_iter: int,
    shards: Shards = ONE_SHARD,
) -> EMFit:
    """`run_em`, then move dead components to where they may explain the rows better.

    A component with less than one row's worth goes to the row explained worst, and EM runs again (at
    most `max_iter` more iterations). The move stays only if the bound improves by more than `tol` of
    itself, so the result is never worse than without it, and the rounds, at most one per component, end.

    Args:
        z: Rows, (N, D), float64.
        start: Where to begin.
        kind: Covariance type.
        reg_covar: Added to every variance at each M step.
        tol: Relative change of the mean log density at which a run stops.
        max_iter: Most iterations of each run.
        shards: Processes that have the other rows.

    Returns:
        The best fit; its `n_iter` is that of the run it comes from.
    """
    fit = run_em(z, start, kind, reg_covar=reg_covar, tol=tol, max_iter=max_iter, shards=shards)
    for _ in range(len(start.weights)):
        if not bool((fit.counts < DEAD).any()):
            break
        revived = reseed(z, fit, kind, reg_covar, shards)
        again = run_em(z, revived, kind, reg_covar=reg_covar, tol=tol, max_iter=max_iter, shards=shards)
        if again.lower_bound <= fit.lower_bound + tol * abs(fit.lower_bound):
            break
        fit = again
    return fit


def reseed(
    z: Tensor, fit: EMFit, kind: CovarianceType, reg_covar: float, shards: Shards = ONE_SHARD
) -> MixtureParameters:
    """Move the dead components to the rows with the lowest density, one row's weight each.

    Their covariances are those of the rows nearest to each mean; a tied one is taken anew, because one
    that spans what the dead component should have split keeps EM from ever splitting it.
    """
    last, dead = fit.parameters, fit.counts < DEAD
    means = last.means.clone()
    means[dead] = _worst_rows(z, fit.log_prob, int(dead.sum()), shards)
    weights = torch.where(dead, 1 / n_rows(z, shards), last.weights)
    covariance = empirical_covariance(z, means, kind, reg_covar, shards)
    if not kind.tied:
        covariance = pick_components(dead, covariance, last.covariance)
    return MixtureParameters(weights / weights.sum(), means, covariance)


def _worst_rows(z: Tensor, log_prob: Tensor, n: int, shards: Shards) -> Tensor:
    """The n rows of the lowest density; every process names as many, of which the lowest are taken."""
    padded = torch.full((n,), torch.inf, dtype=z.dtype, device=z.device)
    here = torch.sort(log_prob, stable=True).indices[:n]
    padded[: len(here)] = log_prob[here]
    rows = torch.zeros(n, z.shape[1], dtype=z.dtype, device=z.device)
    rows[: len(here)] = z[here]
    lowest = torch.sort(shards.joined(padded), stable=True).indices[:n]
    return shards.joined(rows)[lowest]
