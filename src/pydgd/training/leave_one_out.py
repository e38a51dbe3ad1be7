# SPDX-License-Identifier: BSD-3-Clause
"""What the decoder's last layer would expect of each training sample, had it not seen it."""

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.decoder import Decoder

MOST_ELEMENTS = 1 << 23
"""Of the normal matrices that are held at a time: 32 MiB in float32."""
MOST_SAMPLES = 2_000
"""Dispersions are no better known from more; evenly spaced ones are taken."""
SMALLEST = 1e-10
"""Means are kept above it, as a relative error asks for."""

# Where a sample decides its own mean, or moves it by more than e-fold, the first order says nothing more.
_MOST_LEVERAGE, _MOST_SHIFT = 0.9, 1.0
# Ridge of the normal equations, over their mean diagonal: float32 resolves no less.
_RIDGE = 1e-4


@torch.no_grad()
def leave_one_out_means(
    decoder: Decoder,
    z: Float[Tensor, "n latent"],
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
) -> Float[Tensor, "n genes"]:
    r"""Expected reads of every sample by last-layer weights that are fitted to the others, to first order.

    With the hidden features as the design of a regression for each gene, and I the expected information of a
    count in the linear predictor a, leaving sample i out moves its predictor by

    .. math:: a_{-i} - a = -\frac{h}{1 - h}\,\frac{x - \mu}{\mu\,u}, \quad
        h = I\,\phi^T \Bigl(\sum_j I_j \phi_j \phi_j^T\Bigr)^{-1} \phi,\quad u = \frac{d \ln \mu}{da}.

    Args:
        decoder: Trained, with a mean and one r per gene, or Poisson.
        z: Training representations.
        counts: Reads.
        scaling_factors: One per sample.

    Returns:
        Expected reads, float64.

    Source:
        Pregibon (1981), Annals of Statistics 9:705.
    """
    module = decoder.output_module
    outputs = decoder(z)
    means = module.means_of(outputs)
    slope = OUTPUT_ACTIVATIONS[module.activation].log_slope(means)
    mu = (means * scaling_factors.unsqueeze(-1)).clamp_min(SMALLEST)
    log_r = module.log_r_of(outputs)
    share = torch.ones_like(mu) if log_r is None else 1 / (1 + torch.exp(mu.log() - log_r))
    leverage = leverages(decoder.trunk(z), mu * share * slope.square()).clamp_max(_MOST_LEVERAGE)
    shift = (leverage / (1 - leverage) * (counts / mu - 1)).clamp(-_MOST_SHIFT, _MOST_SHIFT)
    return mu.double() * torch.exp(-shift.double())


def leverages(
    features: Float[Tensor, "n hidden"], information: Float[Tensor, "n genes"]
) -> Float[Tensor, "n genes"]:
    """Diagonal of each gene's hat matrix, a regression on features and a constant with weights `information`.

    Args:
        features: Design without its constant.
        information: Weights, >= 0.

    Returns:
        Between 0 and 1; over samples they sum to about one more than there are features.
    """
    design = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    size = design.shape[1]
    rows, columns = torch.triu_indices(size, size)
    # A symmetric matrix by its upper triangle: half the work of both products.
    products = design[:, rows] * design[:, columns]
    twice = torch.where(rows == columns, 1.0, 2.0).to(products.dtype)
    found = torch.empty_like(information)
    for genes in torch.split(torch.arange(information.shape[1]), max(1, MOST_ELEMENTS // size**2)):
        weights = information[:, genes]
        normal = information.new_zeros(len(genes), size, size)
        normal[:, columns, rows] = normal[:, rows, columns] = weights.T @ products
        diagonal = normal.diagonal(dim1=1, dim2=2)
        diagonal += _RIDGE * diagonal.mean(dim=1, keepdim=True) + torch.finfo(products.dtype).tiny
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(normal))
        found[:, genes] = weights * (products @ (inverse[:, rows, columns] * twice).T)
    return found
