# SPDX-License-Identifier: BSD-3-Clause
"""How well a model foretells genes of a sample from its other genes."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from pydgd.core.model import JointModel
from pydgd.data import scaling_factors
from pydgd.inference import SearchOptions, find_representations

HUNDREDTH = SearchOptions(tolerance=1e-2)
"""A likelihood of thousands of counts needs no proof of convergence to a thousandth of a nat."""


def half_of_genes(n_genes: int, *, seed: int) -> Bool[np.ndarray, " genes"]:
    """A random half of the genes.

    Args:
        n_genes: G, at least 2.
        seed: Of the draw.

    Returns:
        True for G // 2 of them.

    Example:
        >>> int(half_of_genes(7, seed=1).sum())
        3
    """
    half = np.zeros(n_genes, dtype=bool)
    half[np.random.default_rng(seed).permutation(n_genes)[: n_genes // 2]] = True
    return half


@torch.no_grad()
def unseen_nll(
    model: JointModel, counts: Float[np.ndarray, "n genes"], *, seed: int = 1
) -> Float[np.ndarray, " n"]:
    """Negative log-likelihood of a half of each sample's genes at the representation that the others give.

    A representation that bends to a sample's noise makes the genes it saw more probable and these less, so
    larger models win only by what they have learnt.

    Args:
        model: Trained, without these samples.
        counts: Reads of healthy samples, (N, G).
        seed: Decides the halves.

    Returns:
        Nats per count, (N,).
    """
    seen = half_of_genes(counts.shape[1], seed=seed)
    factors = scaling_factors(
        counts, rule=model.scaling, profile=model.profile.double().numpy(), measured=seen
    )
    x, s = (torch.as_tensor(values, dtype=torch.float32) for values in (counts, factors))
    mask = torch.as_tensor(seen)
    z = find_representations(model, x, s, measured=mask, options=HUNDREDTH).z.float()
    nll = model.decoder.output_module.nll(x, model.decoder(z), s, mask=~mask)
    return nll.double().numpy() / int((~seen).sum())
