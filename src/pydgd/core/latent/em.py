# SPDX-License-Identifier: BSD-3-Clause
"""Expectation-maximisation for Gaussian mixtures, as functions from parameters to better parameters."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pydgd.core.latent.covariances import VANISHED, CovarianceType
from pydgd.core.latent.shards import ONE_SHARD, Shards, totals

SMALLEST_WEIGHT = 1e-20  # keeps ln w finite for a component that nothing belongs to


@dataclass(frozen=True)
class MixtureParameters:
    """Weights (K,), means (K, D) and covariance in the shape of its type; float64."""

    weights: Tensor
    means: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class EMFit:
    """Where a run of EM ended.

    Attributes:
        parameters: The mixture.
        lower_bound: Mean log density of the rows under it, nats.
        n_iter: Iterations done.
        converged: Whether the stop rule was met.
        counts: Expected rows per component, (K,).
        log_prob: Log density of each row of this process, (N,).
    """

    parameters: MixtureParameters
    lower_bound: float
    n_iter: int
    converged: bool
    counts: Tensor
    log_prob: Tensor


def joint_log_prob(z: Tensor, parameters: MixtureParameters, kind: CovarianceType) -> Tensor:
    """Log density of each row and component including the log weight, nats, (N, K)."""
    log_weights = parameters.weights.clamp_min(SMALLEST_WEIGHT).log()
    return kind.log_density(z, parameters.means, parameters.covariance) + log_weights


def e_step(z: Tensor, parameters: MixtureParameters, kind: CovarianceType) -> tuple[Tensor, Tensor]:
    """Responsibilities (N, K) and the log density of each row (N,)."""
    joint = joint_log_prob(z, parameters, kind)
    return torch.softmax(joint, dim=1), torch.logsumexp(joint, dim=1)


class Expectation(NamedTuple):
    """What an E step finds of this process's rows, and the sums over all rows.

    Attributes:
        responsibilities: Of the components for each row, (N, K).
        log_prob: Log density of each row, (N,).
        counts: Expected rows per component, (K,).
        sums: Rows summed by responsibility, (K, D).
        bound: Mean log density, nats.
    """

    responsibilities: Tensor
    log_prob: Tensor
    counts: Tensor
    sums: Tensor
    bound: float


def expectation(
    z: Tensor, parameters: MixtureParameters, kind: CovarianceType, shards: Shards = ONE_SHARD
) -> Expectation:
    """An E step over the rows of all processes: all that the stop rule and the means need, in one message."""
    responsibilities, log_prob = e_step(z, parameters, kind)
    own = responsibilities.sum(dim=0), responsibilities.T @ z, log_prob.sum(), z.new_tensor(float(len(z)))
    counts, sums, log_probs, n = totals(shards, *own)
    return Expectation(responsibilities, log_prob, counts, sums, (log_probs / n).item())


def m_step(
    z: Tensor,
    expected: Expectation,
    last: MixtureParameters,
    kind: CovarianceType,
    reg_covar: float,
    shards: Shards = ONE_SHARD,
) -> MixtureParameters:
    """The parameters that the responsibilities ask for; `reg_covar` is added to every variance."""
    counts = expected.counts.clamp_min(VANISHED)
    alive = counts > VANISHED  # the others keep their place and shape
    means = pick_components(alive, expected.sums / counts[:, None], last.means)
    covariance = kind.estimate(z, expected.responsibilities, means, shards)
    covariance = covariance + reg_covar * kind.identity(*means.shape).to(z.device)
    if not kind.tied:
        covariance = pick_components(alive, covariance, last.covariance)
    return MixtureParameters(counts / counts.sum(), means, covariance)


def pick_components(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Along the first axis, `yes` for the components chosen (K,) and `no` for the others."""
    return torch.where(chosen.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def run_em(
    z: Tensor,
    start: MixtureParameters,
    kind: CovarianceType,
    *,
    reg_covar: float,
    tol: float,
    max_iter: int,
    shards: Shards = ONE_SHARD,
) -> EMFit:
    """Iterate from `start` until the mean log density changes by at most `tol` of itself.

    One iteration is an M step and then an E step, so the bound that stops the run is that of the
    parameters returned.

    Args:
        z: Rows, (N, D), float64.
        start: Where to begin.
        kind: Covariance type.
        reg_covar: Added to every variance at each M step.
        tol: Relative change of the mean log density at which to stop.
        max_iter: Most iterations, at least 1.
        shards: Processes that have the other rows.

    Returns:
        The fit.

    Source:
        Dempster, Laird & Rubin (1977), JRSS B 39:1.
    """
    parameters, n_iter, converged = start, 0, False
    expected = expectation(z, start, kind, shards)
    while n_iter < max_iter and not converged:
        parameters = m_step(z, expected, parameters, kind, reg_covar, shards)
        last_bound = expected.bound
        expected = expectation(z, parameters, kind, shards)
        n_iter, converged = n_iter + 1, abs(expected.bound - last_bound) <= tol * abs(last_bound)
    return EMFit(parameters, expected.bound, n_iter, converged, expected.counts, expected.log_prob)
