# SPDX-License-Identifier: BSD-3-Clause
"""The search for representations: component means as starts, the best few refined, block by block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pydgd.core.model import JointModel
from pydgd.errors import ConfigError
from pydgd.inference.lbfgs import lbfgs
from pydgd.inference.newton import newton
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum

# Matrix products round differently for different numbers of rows, so every block has this many: a sample's
# answer is the same alone and in company, to the last bit.
BLOCK = 8


# Without curvature a step tells less, and with hidden layers there may be several optima: five times the
# evaluations, twice the starts.
LBFGS_ITERATIONS, LBFGS_STARTS = 5, 2


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How hard to search.

    Attributes:
        n_starts: Component means that are refined; the best one after `scout_iter` goes on. Twice as many
            without Newton steps.
        scout_iter: Evaluations spent on each start; five times as many without Newton steps.
        max_iter: Most evaluations spent on the best one; five times as many without Newton steps.
        tolerance: Converged when one more Newton step promises less than this, in nats.

    Raises:
        ConfigError: If a number is not positive, or a count not whole.
    """

    n_starts: int = 2
    scout_iter: int = 4
    max_iter: int = 60
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what would certify a search that never ran."""
        for name in ("n_starts", "scout_iter", "max_iter"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not 0 < self.tolerance < float("inf"):
            raise ConfigError(f"tolerance must be > 0 and finite, in nats, got {self.tolerance!r}")


class Representations(NamedTuple):
    """Found representations, with what each search says of itself.

    Attributes:
        z: (N, D), float64.
        nll: -ln p(x | z), nats over the measured genes, (N,).
        value: -ln p(x, z), nats, (N,).
        decrement: What one more Newton step promises, nats, (N,).
        spread: Worst minus best objective over the refined starts, nats, (N,).
        evaluations: Evaluations of the objective, (N,).
        component: Most probable component, (N,).
    """

    z: Float[Tensor, "n latent"]
    nll: Float[Tensor, " n"]
    value: Float[Tensor, " n"]
    decrement: Float[Tensor, " n"]
    spread: Float[Tensor, " n"]
    evaluations: Int[Tensor, " n"]
    component: Int[Tensor, " n"]


def find_representations(
    model: JointModel,
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
    *,
    measured: Bool[Tensor, " genes"] | None = None,
    options: SearchOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Representations:
    """Find the most probable representation of every sample, each on its own.

    Args:
        model: A trained model; it is not changed.
        counts: Reads, (N, G); zero where a gene is not measured.
        scaling_factors: One per sample, (N,).
        measured: True where a gene is measured, (G,); all by default.
        options: How hard to search.
        progress: Called with samples done and samples in all after each block.

    Returns:
        Positions and certificates, in the order of the samples.
    """
    options = options or SearchOptions()
    measured = torch.ones(counts.shape[1], dtype=torch.bool) if measured is None else measured
    found = []
    with frozen(model):
        for rows in torch.split(torch.arange(len(counts)), BLOCK):
            padded = torch.cat([rows, rows[-1:].expand(BLOCK - len(rows))])
            objective = FrozenObjective(model, counts[padded], scaling_factors[padded], measured)
            block = _search_block(objective, options)
            found.append(Representations(*(values[: len(rows)] for values in block)))
            if progress is not None:
                progress(int(rows[-1]) + 1, len(counts))
    return Representations(*(torch.cat(values) for values in zip(*found, strict=True)))


@contextmanager
def frozen(model: JointModel) -> Iterator[None]:
    """Switch off dropout and the parameters' gradients, which cost more than the search itself."""
    was_training, trained = model.training, [p for p in model.parameters() if p.requires_grad]
    model.eval().requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        model.train(was_training)
        for parameter in trained:
            parameter.requires_grad_()


def refine(objective: FrozenObjective, start: Tensor, *, max_iter: int, tolerance: float) -> Optimum:
    """Follow the objective down from a start: by Newton steps where the decoder is linear, else by L-BFGS."""
    if has_newton_system(objective.model):
        return newton(objective, start, max_iter=max_iter, tolerance=tolerance)
    return lbfgs(objective, start, max_iter=LBFGS_ITERATIONS * max_iter, tolerance=tolerance)


def has_newton_system(model: JointModel) -> bool:
    """Whether the curvature in z is known: it is that of the means, not of a predicted r."""
    return len(model.decoder.trunk) == 0 and not model.decoder.output_module.predicts_r


@torch.no_grad()
def component_scores(objective: FrozenObjective) -> Float[Tensor, "n components"]:
    """Objective of every sample at every component mean, (N, K), nats; the means are decoded once."""
    model = objective.model
    means = model.prior.means.detach().double()
    log_prior = model.prior.log_prob(means)
    outputs = model.decoder(means.to(objective.counts.dtype))
    scores = [objective.nll_of(_row(outputs, k)) - log_prior[k] for k in range(len(means))]
    return torch.stack(scores, dim=1)


def _row(outputs: Tensor | tuple[Tensor, Tensor], k: int) -> Tensor | tuple[Tensor, Tensor]:
    if isinstance(outputs, tuple):
        return outputs[0][k : k + 1], outputs[1][k : k + 1]
    return outputs[k : k + 1]


def _search_block(objective: FrozenObjective, options: SearchOptions) -> Representations:
    prior = objective.model.prior
    starts = options.n_starts * (1 if has_newton_system(objective.model) else LBFGS_STARTS)
    n_starts = min(starts, prior.n_components)
    best = component_scores(objective).topk(n_starts, largest=False).indices
    means = prior.means.detach().double()
    scouts = [
        refine(objective, means[best[:, j]], max_iter=options.scout_iter, tolerance=options.tolerance)
        for j in range(n_starts)
    ]
    values = torch.stack([scout.value for scout in scouts])
    winner = values.argmin(dim=0)
    start = torch.stack([scout.z for scout in scouts])[winner, torch.arange(len(winner))]
    end = refine(objective, start, max_iter=options.max_iter, tolerance=options.tolerance)
    return Representations(
        z=end.z,
        nll=objective.nll(end.z),
        value=end.value,
        decrement=end.decrement,
        spread=values.max(dim=0).values - values.min(dim=0).values,
        evaluations=end.evaluations + torch.stack([scout.evaluations for scout in scouts]).sum(dim=0),
        component=prior.predict(end.z),
    )
