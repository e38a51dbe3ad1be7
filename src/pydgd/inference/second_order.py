# SPDX-License-Identifier: BSD-3-Clause
"""Our own search: component means as starts, the best few scouted, the best of these followed down.

Which method follows an objective down depends on the decoder. Without hidden layers the curvature is known
and cheap: Newton's method. With hidden layers it is an approximation that costs a few evaluations: L-BFGS
that is told it at the start, which halves the evaluations. In decoders of many millions of weights it costs
more than it saves: L-BFGS that is told nothing, whose scouts see a small part of the genes.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from pydgd.core.decoder import Decoder
from pydgd.core.model import JointModel
from pydgd.inference.candidates import component_means
from pydgd.inference.lbfgs import LONGEST_STEP, lbfgs
from pydgd.inference.newton import newton
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum
from pydgd.inference.options import SearchOptions
from pydgd.inference.scheme import Found, Scheme, spread_of
from pydgd.inference.step_memory import StepMemory
from pydgd.inference.thinning import of_genes

# Beyond so many parameters (64 MiB) a decoder's weights are fetched from memory for every product.
LARGE = 2**24
# Samples per block: few, to stay in the cache; in large decoders more, because 64 hardly cost more than one.
BLOCK, BLOCK_OF_LARGE = 8, 64
# Genes that the scouts of a large decoder look at; their likelihood stands for that of all.
SCOUTED_GENES = 2000


class Effort(NamedTuple):
    """By how much a kind of decoder multiplies the options; see `SearchOptions`."""

    starts: int
    scout: int
    refine: float


# Newton's method; L-BFGS that is told the curvature at the start; L-BFGS that is not, whose scouts are cheap.
NEWTON, INFORMED, UNINFORMED = Effort(1, 1, 1.0), Effort(2, 3, 3.0), Effort(4, 6, 0.75)


class SecondOrder(Scheme):
    """The search by curvature, known or learnt on the way."""

    name = "second_order"

    def __init__(self, model: JointModel, measured: Tensor, options: SearchOptions) -> None:
        super().__init__(model, measured, options)
        self._effort = effort_for(model)
        self._genes = _some(measured) if is_large(model.decoder) else None
        self._scouted = model if self._genes is None else of_genes(model, self._genes)
        self._starts = component_means(self._scouted)

    def search(self, objective: FrozenObjective) -> Found:
        """Search every sample of a block; by another likelihood from the optimum of the plain one."""
        plain = objective.seen_by("plain")
        memories, scouts = self._scout(plain)
        positions = torch.stack([scout.z for scout in scouts])
        values = torch.stack([scout.value for scout in scouts])
        if self._genes is not None:
            values = torch.stack([plain.value(z) for z in positions])
        winner = values.argmin(dim=0)
        start = positions[winner, torch.arange(len(winner), device=winner.device)]
        end = self._refine(plain, start, _picked(memories, winner))
        spent = end.evaluations + torch.stack([scout.evaluations for scout in scouts]).sum(dim=0)
        if plain is not objective:
            end = self._refine(objective, end.z, memory_for(objective, end.z))
            spent = spent + end.evaluations
        return Found(end._replace(evaluations=spent), spread_of(values))

    def _refine(self, objective: FrozenObjective, start: Tensor, memory: StepMemory | None) -> Optimum:
        steps = math.ceil(self._effort.refine * self.options.max_iter)
        return refine(objective, start, memory, max_iter=steps, tolerance=self.options.tolerance)

    def _scout(self, objective: FrozenObjective) -> tuple[list[StepMemory | None], list[Optimum]]:
        """A few steps from each of the best starts, and what they tell of the curvature."""
        options, effort = self.options, self._effort
        if self._genes is not None:
            objective = objective.of_genes(self._scouted, self._genes)
        starts = self._starts.best(objective, effort.starts * options.n_starts)
        memories = [memory_for(objective, start) for start in starts]
        if len(starts) == 1:
            return memories, [_untried(starts[0])]
        steps = effort.scout * options.scout_iter
        scouts = [
            refine(objective, start, memory, max_iter=steps, tolerance=options.tolerance)
            for start, memory in zip(starts, memories, strict=True)
        ]
        return memories, scouts


def _untried(start: Tensor) -> Optimum:
    """Of the only start, which need not be compared with others."""
    nothing = start.new_zeros(len(start))
    return Optimum(start, nothing, nothing, nothing.long())


def memory_for(objective: FrozenObjective, start: Tensor) -> StepMemory | None:
    """What a search from this start begins with; None for Newton's method, which remembers nothing."""
    model = objective.model
    if has_newton_system(model):
        return None
    curvature = None if is_large(model.decoder) else objective.curvature(start)
    return StepMemory(start, longest=LONGEST_STEP * objective.spread, curvature=curvature)


def refine(
    objective: FrozenObjective, start: Tensor, memory: StepMemory | None, *, max_iter: int, tolerance: float
) -> Optimum:
    """Follow the objective down from a start, by the method that suits the decoder."""
    if memory is None:
        return newton(objective, start, max_iter=max_iter, tolerance=tolerance)
    return lbfgs(objective, start, memory=memory, max_iter=max_iter, tolerance=tolerance)


def effort_for(model: JointModel) -> Effort:
    """How a kind of decoder multiplies the options."""
    if has_newton_system(model):
        return NEWTON
    return UNINFORMED if is_large(model.decoder) else INFORMED


def has_newton_system(model: JointModel) -> bool:
    """Whether the curvature in z is known: it is that of the means, not of a predicted r."""
    return len(model.decoder.trunk) == 0 and not model.decoder.output_module.predicts_r


def is_large(decoder: Decoder) -> bool:
    """Whether hidden layers make decoding so dear that the curvature would cost more than it saves."""
    return len(decoder.trunk) > 0 and sum(p.numel() for p in decoder.parameters()) > LARGE


def block_size(model: JointModel) -> int:
    """Samples that are searched at a time, the same number for every block.

    Matrix products round differently for different numbers of rows; with one number a sample's answer is the
    same alone and in company, to the last bit.
    """
    return BLOCK_OF_LARGE if is_large(model.decoder) else BLOCK


def _some(measured: Bool[Tensor, " genes"]) -> Int[Tensor, " some"]:
    genes = measured.nonzero().squeeze(-1)
    return genes[:: max(1, len(genes) // SCOUTED_GENES)]


def _picked(memories: list[StepMemory | None], winner: Tensor) -> StepMemory | None:
    known = [memory for memory in memories if memory is not None]
    return StepMemory.picked(known, winner) if known else None
