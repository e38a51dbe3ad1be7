# SPDX-License-Identifier: BSD-3-Clause
r"""How surely the expected reads are known: the variance of ln mu that comes with that of z.

Two things are unknown of a representation. The counts leave it open by the inverse of their information
:math:`H = J^T I J + S^{-1}`, with J the derivatives of ln mu and I = mu r/(mu + r) (Laplace's
approximation). And where a sample has departed, the posterior keeps the share (1 - 1/a) of the
component's own covariance S, see `pydgd.inference.departure`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.model import JointModel
from pydgd.inference.jacobian import ProjectionJacobian, information


@torch.no_grad()
def log_mean_variance(
    model: JointModel,
    z: Float[Tensor, " latent"],
    *,
    weight: Float[Tensor, " genes"],
    covariance: Float[Tensor, "latent latent"],
    share: float,
) -> Float[Tensor, " genes"]:
    """Variance of ln mu of every gene of one sample.

    Args:
        model: The trained model.
        z: Representation.
        weight: Information of each gene's count in ln mu; 0 where it is not measured.
        covariance: Within the component, float64.
        share: 1/a, how much of the way from the component's mean is kept.
    """
    jacobian = log_mean_jacobian(model, z.to(model.profile.dtype))
    # In float64: float32 sums of deep counts round by more than the prior's own precision.
    seen = information(jacobian.double(), weight.double())
    precision = 0.5 * (seen + seen.T) + torch.linalg.inv(covariance)
    left_open = share**2 * torch.linalg.inv(precision) + (1 - share) * covariance
    factor = torch.linalg.cholesky(left_open).to(jacobian.dtype)
    variances: Tensor = (jacobian @ factor).square().sum(dim=1)
    return variances


def log_mean_jacobian(model: JointModel, z: Float[Tensor, " latent"]) -> Float[Tensor, "genes latent"]:
    """Derivatives of every gene's ln mu in a representation.

    Args:
        model: The trained model.
        z: Representation.
    """
    module = model.decoder.output_module
    means = module.means_of(model.decoder(z.unsqueeze(0)))[0]
    slope = OUTPUT_ACTIVATIONS[module.activation].log_slope(means)
    return ProjectionJacobian(model.decoder, z.unsqueeze(0)).of(0) * slope.unsqueeze(-1)
