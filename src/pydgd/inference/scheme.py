# SPDX-License-Identifier: BSD-3-Clause
"""What every way to search a block of samples has in common."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.core.model import JointModel
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum
from pydgd.inference.options import SearchOptions


class Found(NamedTuple):
    """What a scheme found.

    Attributes:
        optimum: Where each sample's search ended.
        spread: Worst minus best objective over the starts that were refined, nats, (N,).
    """

    optimum: Optimum
    spread: Tensor


class Scheme(ABC):
    """A way to search blocks of samples with one model.

    Args:
        model: Frozen.
        measured: True where a gene is measured, (G,).
        options: How hard to search.
    """

    name: ClassVar[str]

    def __init__(self, model: JointModel, measured: Bool[Tensor, " genes"], options: SearchOptions) -> None:
        self.model, self.measured, self.options = model, measured, options

    @abstractmethod
    def search(self, objective: FrozenObjective) -> Found:
        """Search every sample of a block, each on its own.

        Args:
            objective: Of the same model and measured genes.
        """


def spread_of(values: Float[Tensor, "starts n"]) -> Float[Tensor, " n"]:
    """Worst minus best value over the starts, (N,)."""
    return values.max(dim=0).values - values.min(dim=0).values
