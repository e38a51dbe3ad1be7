# SPDX-License-Identifier: BSD-3-Clause
"""How healthy samples that training did not see fit a model: what its flags compare a query with."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

FEWEST = 5
"""Of fewer samples the spread is hardly known: the threshold lies six of their standard deviations out."""

_PREFIX = "reference."
_OF_GENES = ("gene_nll", "gene_deviance")


@dataclass(frozen=True, eq=False)
class FitReference:
    """Fit of N held-out healthy samples to a model of G genes; which samples they were is not kept.

    Attributes:
        nll: -ln p(x | z) of each sample over the sum of `gene_nll`, (N,).
        misfit: Deviance of each sample over the sum of `gene_deviance`, (N,).
        distance: To the nearest training samples, as `pydgd.inference.neighbours` has it, (N,).
        gene_nll: Mean of -ln p(x | z) over the samples, nats, (G,).
        gene_deviance: Mean deviance over the samples, nats, (G,).

    Raises:
        ValueError: If sizes disagree, a value is negative or not finite, a sample's is 0, all samples are
            alike, or there are fewer than five.
    """

    nll: Float[np.ndarray, " n"]
    misfit: Float[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]
    gene_nll: Float[np.ndarray, " genes"]
    gene_deviance: Float[np.ndarray, " genes"]

    def __post_init__(self) -> None:
        """Refuse what would give flags that mean nothing."""
        for field in fields(self):
            values, of_genes = getattr(self, field.name), field.name in _OF_GENES
            expected = self.gene_nll.shape if of_genes else self.nll.shape
            if values.ndim != 1 or values.shape != expected:
                raise ValueError(f"{field.name} must have shape {expected}, got {values.shape}")
            if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
                raise ValueError(f"{field.name} must be finite and not negative, and some of it above 0")
            if not of_genes and (values.min() == 0 or values.min() == values.max()):
                raise ValueError(f"{field.name} must be above 0, and differ between samples")
        if self.n_samples < FEWEST:
            raise ValueError(f"a reference must have at least {FEWEST} samples, got {self.n_samples}")

    @property
    def n_samples(self) -> int:
        """How many samples it is of."""
        return len(self.nll)

    def tensors(self) -> dict[str, Tensor]:
        """What a model file holds of it."""
        return {
            f"{_PREFIX}{field.name}": torch.as_tensor(getattr(self, field.name)) for field in fields(self)
        }


def take_reference(tensors: dict[str, Tensor], *, n_genes: int) -> FitReference | None:
    """Take the reference out of a file's tensors; None if the file has none.

    Args:
        tensors: By name; those of the reference are removed.
        n_genes: Of the model.

    Raises:
        ValueError: If it makes no sense.
        TypeError: If a part is missing or unknown.
    """
    parts = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_PREFIX)}
    if not parts:
        return None
    reference = FitReference(**_arrays(parts))
    if len(reference.gene_nll) != n_genes:
        raise ValueError(
            f"the reference must be of the model's {n_genes} genes, got {len(reference.gene_nll)}"
        )
    return reference


def _arrays(parts: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name.removeprefix(_PREFIX): part.double().numpy() for name, part in parts.items()}
