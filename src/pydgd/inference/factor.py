# SPDX-License-Identifier: BSD-3-Clause
"""Cholesky factors of curvatures that rounding may have left indefinite."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# Shares of the diagonal that are added, in turn, to a curvature that rounding left indefinite.
JITTER = (1e-7, 1e-5, 1e-3, 1e-1)


def lower_factors(
    matrices: Float[Tensor, "n latent latent"],
) -> tuple[Float[Tensor, "n latent latent"], Bool[Tensor, " n"]]:
    """Lower factors, and which samples have none however much is added to their diagonal.

    The float32 products behind a curvature of 1e9 reads in one gene need not be positive definite.

    Args:
        matrices: Symmetric up to rounding.

    Returns:
        Factors, the identity where there is none, and where that is.

    Example:
        >>> lower_factors(torch.tensor([[[4.0]], [[-1.0]]]))
        (tensor([[[2.]],
        <BLANKLINE>
                [[1.]]]), tensor([False,  True]))
    """
    factor, info = torch.linalg.cholesky_ex(matrices)
    failed = info > 0
    for share in JITTER:
        if not bool(failed.any()):
            break
        diagonal = torch.diag_embed(torch.diagonal(matrices, dim1=-2, dim2=-1))
        stiffer, info = torch.linalg.cholesky_ex(matrices + share * diagonal)
        # Those that have a factor keep it: what others still need is not their concern.
        factor = torch.where(failed[:, None, None], stiffer, factor)
        failed = failed & (info > 0)
    none = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    return torch.where(failed[:, None, None], none, factor), failed
