# SPDX-License-Identifier: BSD-3-Clause
"""The joint model of counts and representations: p(x, z) = p(x | z) p(z)."""

from collections.abc import Sequence

from jaxtyping import Bool, Float, Num
from torch import Tensor, nn

from pydgd.core.decoder import Decoder
from pydgd.core.latent import LatentPrior


class JointModel(nn.Module):
    """Decoder and prior over a fixed list of genes.

    Args:
        genes: Names of the genes, in the decoder's order.
        decoder: From representation to the distribution of counts.
        prior: Mixture on representations.
        scaling: Name of the rule that gives the scaling factors.
        profile: Mean of every gene per unit of the scaling factor over the training samples, (G,).

    Raises:
        ValueError: If decoder, prior, genes and profile do not fit each other.

    Example:
        >>> import torch
        >>> from pydgd.core.latent import GaussianMixture
        >>> decoder = Decoder(2, [], [], "poisson", {"output_dim": 3})
        >>> model = JointModel(["A", "B", "C"], decoder, GaussianMixture(1, 2), "mean", torch.ones(3))
        >>> model.log_joint(torch.ones(5, 3), torch.zeros(5, 2), torch.ones(5)).shape
        torch.Size([5])
    """

    profile: Tensor

    def __init__(
        self,
        genes: Sequence[str],
        decoder: Decoder,
        prior: LatentPrior,
        scaling: str,
        profile: Float[Tensor, " genes"],
    ) -> None:
        super().__init__()
        if not len(genes) == decoder.n_genes == len(profile):
            raise ValueError(
                f"genes, decoder and profile must agree on the number of genes, "
                f"got {len(genes)}, {decoder.n_genes} and {len(profile)}"
            )
        if decoder.latent_dim != prior.latent_dim:
            raise ValueError(
                f"decoder and prior must agree on the latent dimensions, "
                f"got {decoder.latent_dim} and {prior.latent_dim}"
            )
        self.genes, self.scaling = tuple(genes), scaling
        self.decoder, self.prior = decoder, prior
        self.register_buffer("profile", profile.clone())

    def log_joint(
        self,
        counts: Num[Tensor, "n genes"],
        z: Float[Tensor, "n latent"],
        scaling_factors: Num[Tensor, " n"],
        *,
        log_factorial: Float[Tensor, "n genes"] | None = None,
        mask: Bool[Tensor, " genes"] | None = None,
    ) -> Float[Tensor, " n"]:
        """Log joint density ln p(x | z) + ln p(z) of each sample.

        Args:
            counts: Reads, (N, G).
            z: Representations, (N, D).
            scaling_factors: One per sample, (N,).
            log_factorial: ln k! of the counts, if computed beforehand.
            mask: True where a gene is measured; the others do not count.

        Returns:
            Nats, float64, (N,); differentiable in `z` and the model's parameters.
        """
        module = self.decoder.output_module
        nll = module.nll(counts, self.decoder(z), scaling_factors, log_factorial=log_factorial, mask=mask)
        return self.prior.log_prob(z).double() - nll
