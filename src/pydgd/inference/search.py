# SPDX-License-Identifier: BSD-3-Clause
"""The search for representations, block by block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pydgd.core.model import JointModel
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.options import SearchOptions
from pydgd.inference.peer_schemes import OneOpt, TwoOpt
from pydgd.inference.scaling import with_fitted_scaling
from pydgd.inference.scheme import Scheme
from pydgd.inference.second_order import BLOCK, SecondOrder, block_size, has_newton_system

__all__ = ["BLOCK", "Representations", "SearchOptions", "find_representations", "frozen"]

SCHEMES: dict[str, type[Scheme]] = {scheme.name: scheme for scheme in (SecondOrder, OneOpt, TwoOpt)}


class Representations(NamedTuple):
    """Found representations, with what each search says of itself.

    Attributes:
        z: (N, D), float64.
        nll: -ln p(x | z), nats over the measured genes, (N,); by the model's own likelihood.
        value: -ln p(x, z), nats, (N,); with a temperature or another likelihood, what was minimised instead.
        decrement: What one more Newton step promises, nats, (N,).
        spread: Worst minus best objective over the refined starts, nats, (N,).
        evaluations: Evaluations of the objective, (N,).
        component: Most probable component, (N,).
        scaling_shift: By how much ln s departs from the given scaling factors, (N,); 0 unless it was fitted.
        curvature: Of the objective at z, (N, D, D), float64; None unless it was asked for. Its inverse is the
            covariance of z given the counts, by Laplace's approximation.
    """

    z: Float[Tensor, "n latent"]
    nll: Float[Tensor, " n"]
    value: Float[Tensor, " n"]
    decrement: Float[Tensor, " n"]
    spread: Float[Tensor, " n"]
    evaluations: Int[Tensor, " n"]
    component: Int[Tensor, " n"]
    scaling_shift: Float[Tensor, " n"]
    curvature: Float[Tensor, "n latent latent"] | None = None


def find_representations(
    model: JointModel,
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
    *,
    measured: Bool[Tensor, " genes"] | None = None,
    temperature: Float[Tensor, " n"] | None = None,
    options: SearchOptions | None = None,
    curvature: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Representations:
    """Find the most probable representation of every sample, each on its own.

    Args:
        model: A trained model; it is not changed.
        counts: Reads, (N, G); zero where a gene is not measured.
        scaling_factors: One per sample, (N,).
        measured: True where a gene is measured, (G,); all by default.
        temperature: What each sample's log-likelihood is divided by, > 0, (N,); 1 by default.
        options: Which search, and how hard.
        curvature: Whether to keep the curvature at each optimum, D² numbers per sample.
        progress: Called with samples done and samples in all after each block.

    Returns:
        Positions and certificates, in the order of the samples.
    """
    options = options or SearchOptions()
    measured = counts.new_ones(counts.shape[1], dtype=torch.bool) if measured is None else measured
    tau = counts.new_ones(len(counts), dtype=torch.float64) if temperature is None else temperature
    found, n_rows = [], block_size(model)
    with frozen(model):
        scheme = SCHEMES[options.scheme](model, measured, options)
        for rows in torch.split(torch.arange(len(counts), device=counts.device), n_rows):
            padded = torch.cat([rows, rows[-1:].expand(n_rows - len(rows))])
            objective = FrozenObjective(
                model,
                counts[padded],
                scaling_factors[padded],
                measured,
                temperature=tau[padded],
                likelihood=options.likelihood,
            )
            block = _search_block(scheme, objective, options, curvature=curvature)
            found.append([values[: len(rows)] for values in block if values is not None])
            if progress is not None:
                progress(int(rows[-1]) + 1, len(counts))
    return Representations(*(torch.cat(values) for values in zip(*found, strict=True)))


def _search_block(
    scheme: Scheme, objective: FrozenObjective, options: SearchOptions, *, curvature: bool
) -> Representations:
    end, spread = scheme.search(objective)
    shift = torch.zeros_like(end.value)
    if options.scaling == "fitted":
        end, shift = with_fitted_scaling(
            objective,
            end,
            by_newton=has_newton_system(objective.model),
            max_iter=options.max_iter,
            tolerance=options.tolerance,
        )
        factors = objective.scaling_factors
        objective = objective.scaled(factors * shift.exp().to(factors.dtype))
    return Representations(
        z=end.z,
        nll=objective.seen_by("plain").nll(end.z),
        value=end.value,
        decrement=end.decrement,
        spread=spread,
        evaluations=end.evaluations,
        component=objective.model.prior.predict(end.z),
        scaling_shift=shift,
        curvature=objective.curvature(end.z) if curvature else None,
    )


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
