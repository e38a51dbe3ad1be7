# SPDX-License-Identifier: BSD-3-Clause
"""A start from the data: principal components as representations, regression as the decoder's head.

Worth a factor of fifty in time against random weights and zero representations.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.decoder import Decoder
from pydgd.training.counts import TrainingCounts

# Penalty of the regression, in samples' worth of unit-variance predictor.
RIDGE = 10.0
# Added to a count before its logarithm: half a read, the usual correction for log counts.
HALF_READ = 0.5
# A component whose mean square log change is smaller is rounding: samples that are all alike have none.
LEAST_VARIANCE = 1e-16
# Counts projected at a time: 64 MiB as logarithms.
PROJECTED_ELEMENTS = 2**23
# First r stays where the likelihood is neither Poisson nor a single spike.
LEAST_R, MOST_R = 0.3, 100.0
# A gene's expected reads add up to its observed ones within a thousandth: on real organs ten shifts do it.
MATCHED, MOST_SHIFTS = 1e-3, 50


class PrincipalComponents(NamedTuple):
    """Where samples lie along the directions in which they differ most.

    Attributes:
        z: Each of unit variance, (N, D).
        spread: How much of the log expression each of them moves: its standard deviation, (D,).
        axes: What turns a centred row of logarithms into its z, (G, D).
        centre: Mean logarithm of every gene, (G,).
        depth: Mean count per unit of the scaling factor.
    """

    z: Float[Tensor, "n latent"]
    spread: Float[Tensor, " latent"]
    axes: Float[Tensor, "genes latent"]
    centre: Float[Tensor, " genes"]
    depth: float

    def project(
        self, counts: Float[Tensor, "m genes"], scaling_factors: Float[Tensor, " m"]
    ) -> Float[Tensor, "m latent"]:
        """Where other samples lie.

        Args:
            counts: Reads.
            scaling_factors: One per sample.
        """
        logs = _logs(counts, scaling_factors, self.depth)
        return ((logs - self.centre) @ self.axes).to(counts.dtype)


def principal_components(
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
    latent_dim: int,
    *,
    generator: Generator,
) -> PrincipalComponents:
    """Leading principal components of log(1 + counts per mean count), each of unit variance.

    Args:
        counts: Reads, (N, G).
        scaling_factors: One per sample, (N,); only their ratios matter.
        latent_dim: D; dimensions beyond the rank of the data start as small noise.
        generator: Source of that noise.

    Returns:
        Them, in the dtype of `counts`.
    """
    n = len(counts)
    depth = float(counts.mean() / scaling_factors.mean())
    logs = _logs(counts, scaling_factors, depth)
    centre = logs.mean(dim=0)
    logs -= centre
    # Eigenvectors of the N × N Gram matrix: samples are fewer than genes.
    values, vectors = torch.linalg.eigh(logs @ logs.T)
    least = max(1e-9 * float(values[-1]), LEAST_VARIANCE * logs.numel())
    rank = min(latent_dim, int((values > least).sum()))
    z = 0.01 * torch.randn(n, latent_dim, generator=generator, dtype=torch.float64)
    if rank:
        leading = vectors.flip(1)[:, :rank]
        # An eigenvector's sign is arbitrary; the largest entry is made positive, so that runs agree.
        sign = torch.sign(leading.gather(0, leading.abs().argmax(dim=0, keepdim=True)))
        z[:, :rank] = leading * sign * n**0.5
    spread = torch.zeros(latent_dim, dtype=torch.float64)
    spread[:rank] = (values.flip(0)[:rank] / n).sqrt()
    axes = torch.zeros(logs.shape[1], latent_dim, dtype=torch.float64)
    axes[:, :rank] = logs.T @ (z[:, :rank] / values.flip(0)[:rank])
    return PrincipalComponents(z.to(counts.dtype), spread.to(counts.dtype), axes, centre, depth)


def _logs(counts: Tensor, scaling_factors: Tensor, depth: float) -> Tensor:
    """ln(1 + counts per mean count), in float64.

    In float32 the rounding of the mean and of the products, 1e-7 of the variance, would pass for components
    where the data have none.
    """
    scale = (scaling_factors * depth).to(counts.dtype).unsqueeze(-1)
    return torch.log1p(counts / scale).double()


def first_positions(
    components: PrincipalComponents, counts: TrainingCounts, rows: np.ndarray
) -> Float[Tensor, "rows latent"]:
    """Where samples start that the components were not made of, some at a time.

    Args:
        components: Of some of the samples.
        counts: Of all.
        rows: Numbers of the samples wanted, rising.
    """
    height = max(1, PROJECTED_ELEMENTS // counts.n_genes)
    parts = [rows[i : i + height] for i in range(0, len(rows), height)]
    z = [
        components.project(counts.take(part), counts.scaling_factors[torch.as_tensor(part)]) for part in parts
    ]
    return torch.cat(z) if z else components.z[:0]


@torch.no_grad()
def start_decoder(
    decoder: Decoder,
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
    z: Float[Tensor, "n latent"],
    *,
    generator: Generator,
) -> None:
    """Set the decoder so that it predicts the samples from `z` as well as a ridge regression can.

    Hidden layers are drawn at random. The head's weights regress the scaled counts' logarithms on the last
    hidden layer; the dispersion is the moment estimate around the fit.

    Args:
        decoder: Changed in place.
        counts: Reads, (N, G).
        scaling_factors: One per sample, (N,).
        z: First representations, (N, D).
        generator: Source of the hidden layers' weights.
    """
    module = decoder.output_module
    scale = scaling_factors.to(counts.dtype).unsqueeze(-1)
    # Pooled, so that a sample of ten reads has the weight of ten reads.
    profile = counts.sum(dim=0) / scale.sum()
    decoder.reset_parameters(generator=generator)
    decoder.eval()  # dropout would blur the regression
    module.initialise(profile, torch.ones_like(profile), generator=generator)
    # Half a read at the mean depth; unscaled it would lift every gene of a shallow sample.
    log_slopes = _regress(decoder.trunk(z), torch.log(counts / scale + HALF_READ / scale.mean()))
    _set_head(decoder, z, scale, profile, log_slopes)
    means = module.means_of(decoder(z)) * scale
    module.initialise_log_r(moment_r(counts, means))


def moment_r(counts: Float[Tensor, "n genes"], mu: Float[Tensor, "n genes"]) -> Float[Tensor, " genes"]:
    """Inverse dispersion of each gene from the squared residuals, kept within [0.3, 100]."""
    excess = ((counts - mu).square() - mu).sum(dim=0).clamp_min(1e-9)
    return (mu.square().sum(dim=0) / excess).clamp(LEAST_R, MOST_R)


def _regress(hidden: Tensor, target: Tensor) -> Tensor:
    """Ridge slopes of each gene's target on the hidden units, (G, H)."""
    x, y = (hidden - hidden.mean(dim=0)).double(), target - target.mean(dim=0)
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    slopes: Tensor = torch.linalg.solve(gram, x.T @ y.double()).T
    return slopes.to(target.dtype)


def _set_head(decoder: Decoder, z: Tensor, scale: Tensor, profile: Tensor, log_slopes: Tensor) -> None:
    """Turn slopes of the log means into weights of the activation's argument, and match the mean profile."""
    module = decoder.output_module
    activation = OUTPUT_ACTIVATIONS[module.activation]
    floor = profile.clamp_min(profile[profile > 0].min())
    bias = activation.inverse(floor).to(profile.dtype)
    unit = 1 / activation.log_slope(activation.forward(bias))
    hidden = decoder.trunk(z)
    centre = hidden.mean(dim=0)
    change = (hidden - centre) @ (unit.unsqueeze(-1) * log_slopes).T
    # Where the activation is the identity a straight line would reach below zero: it is made flatter there.
    room = torch.where(bias > 1, 0.9 * bias, torch.inf)
    flatter = (room / -change.min(dim=0).values.clamp_max(-1e-30)).clamp_max(1.0)
    weight = (flatter * unit).unsqueeze(-1) * log_slopes
    module.layer_means.weight.copy_(weight)
    module.layer_means.bias.copy_(bias - weight @ centre)
    _match_profile(decoder, z, scale, floor, bendable=bias <= 1)


def _match_profile(decoder: Decoder, z: Tensor, scale: Tensor, profile: Tensor, *, bendable: Tensor) -> None:
    """Shift each gene to its observed mean: the mean of exponentials is not the exponential of the mean.

    One step does it where the activation is an exponential. In an organ whose reads a gene makes up, the
    straight line leads far up to where it is not; there each step goes part of the way, never too far.
    """
    module = decoder.output_module
    reads = profile * scale.sum()
    for _ in range(MOST_SHIFTS):
        shift = (reads / (module.means_of(decoder(z)) * scale).sum(dim=0)).log()
        module.layer_means.bias.add_(torch.where(bendable, shift, 0.0))
        if shift[bendable].abs().lt(MATCHED).all():
            break
