# SPDX-License-Identifier: BSD-3-Clause
"""From representations to expected reads."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.model import JointModel


@torch.no_grad()
def decode(
    model: JointModel, z: Float[Tensor, "n latent"], factors: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n genes"], Float[np.ndarray, "..."] | None]:
    """Expected reads and r, sample by sample, so that company does not change a bit.

    Args:
        model: Its decoder is in evaluation mode.
        z: Representations.
        factors: Scaling factors.

    Returns:
        mu, and r of each gene, (G,), or of each sample and gene, (N, G); None for a Poisson model.
    """
    module = model.decoder.output_module
    dtype = model.profile.dtype
    s = torch.as_tensor(factors, dtype=dtype)
    means, dispersions, shared = [], [], True
    for row, factor in zip(z.to(dtype), s, strict=True):
        # Twice the same row: r per gene then has one row, r per sample two.
        outputs = model.decoder(row.expand(2, -1))
        means.append(module.means_of(outputs)[0] * factor)
        log_r = module.log_r_of(outputs)
        if log_r is not None:
            shared = len(log_r) == 1
            dispersions.append(log_r[0])
    mu = torch.stack(means).numpy()
    if not dispersions:
        return mu, None
    chosen = dispersions[0] if shared else torch.stack(dispersions)
    return mu, chosen.double().clamp(-300.0, 300.0).exp().numpy()
