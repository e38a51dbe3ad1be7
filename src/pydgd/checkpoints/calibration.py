# SPDX-License-Identifier: BSD-3-Clause
"""What makes a model's p-values hold on new samples, as it is kept in the model file."""

from collections.abc import MutableMapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.stats.calibrated import NullModel
from pydgd.stats.empirical_null import EmpiricalNull
from pydgd.stats.spread import UsualSpread

_PREFIX = "calibration."


@dataclass(frozen=True, eq=False)
class Calibration:
    """Learnt from healthy samples only: the training samples, and those that training did not see.

    Attributes:
        log_r: ln r of each gene, cross-fitted, (G,); None if the model has no r per gene.
        misfit_limit: What the misfit of 95 of 100 healthy samples stays below.
        null: How residuals of healthy samples are distributed.

    Raises:
        ValueError: If a number is out of range.
    """

    log_r: Float[np.ndarray, " genes"] | None
    misfit_limit: float
    null: NullModel

    def __post_init__(self) -> None:
        """Refuse what a search would fail on."""
        if not 0 < self.misfit_limit < np.inf:
            raise ValueError(f"misfit_limit must be > 0 and finite, got {self.misfit_limit}")
        if self.log_r is not None and not (np.abs(self.log_r) < 100).all():
            raise ValueError("log_r of the calibration must be finite and within 100")

    def tensors(self) -> dict[str, Tensor]:
        """All numbers, by the names they have in a model file."""
        usual, null = self.null.usual, self.null.null
        arrays = {
            "misfit_limit": np.array([self.misfit_limit]),
            "spread": np.array([usual.lower, usual.upper, usual.least]),
            "edges": null.edges,
            "log_survival": null.log_survival,
            "knots": null.knots,
            "tails": null.tails,
        }
        if self.log_r is not None:
            arrays["log_r"] = self.log_r
        return {_PREFIX + name: torch.as_tensor(values).double() for name, values in arrays.items()}


def take_calibration(
    state: MutableMapping[str, Tensor], *, n_genes: int, has_r: bool = True
) -> Calibration | None:
    """Take a calibration's tensors out of those of a model file.

    Args:
        state: Tensors by name; those of the calibration are removed.
        n_genes: Number of genes of the model.
        has_r: Whether the model has one r per gene.

    Returns:
        The calibration; None if there is none.

    Raises:
        ValueError: If one is missing, unknown, or of another shape or range than a calibration's.
    """
    names = [name for name in state if name.startswith(_PREFIX)]
    if not names:
        return None
    found = {name.removeprefix(_PREFIX): state.pop(name).double().numpy() for name in names}
    log_r = found.pop("log_r", None)
    expected = {"misfit_limit", "spread", "edges", "log_survival", "knots", "tails"}
    if found.keys() != expected:
        raise ValueError(f"the calibration must hold {sorted(expected)}, got {sorted(found)}")
    if (log_r is not None) != has_r:
        raise ValueError(
            "the calibration must have log_r exactly if the model has one r per gene, "
            f"which {'it has' if has_r else 'it has not'}"
        )
    if log_r is not None and log_r.shape != (n_genes,):
        raise ValueError(f"log_r of the calibration must have {n_genes} values, got {log_r.shape}")
    shapes = {name: values.shape for name, values in found.items()}
    strata, knots = found["edges"].size + 1, found["log_survival"].size
    fitting = {
        "misfit_limit": (1,),
        "spread": (3,),
        "edges": (strata - 1,),
        "log_survival": (knots,),
        "knots": (strata, 2, knots),
        "tails": (strata, 2, 2),
    }
    if shapes != fitting:
        raise ValueError(f"the calibration has arrays of the shapes {shapes}, expected {fitting}")
    null = EmpiricalNull(found["edges"], found["log_survival"], found["knots"], found["tails"])
    usual = UsualSpread(*(float(value) for value in found["spread"]))
    return Calibration(log_r, float(found["misfit_limit"][0]), NullModel(usual, null))
