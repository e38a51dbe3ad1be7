# SPDX-License-Identifier: BSD-3-Clause
"""Models of known parameters, counts drawn from them, and the objective written once more in float64."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit, logsumexp
from torch import Tensor

from pydgd.core.decoder import Decoder
from pydgd.core.latent import GaussianMixture, GradientMixture, LatentPrior
from pydgd.core.model import JointModel
from pydgd.inference.objective import FrozenObjective


@dataclass(frozen=True)
class Problem:
    """A model, counts that it could have made, and where they came from."""

    model: JointModel
    counts: Tensor
    scaling_factors: Tensor
    measured: Tensor
    z: Tensor = field(repr=False)

    def objective(self) -> FrozenObjective:
        """What the search minimises."""
        return FrozenObjective(self.model, self.counts, self.scaling_factors, self.measured)

    def reference(self, sample: int) -> Callable[[np.ndarray], float]:
        """-ln p(x, z) of one sample as SciPy has it, in float64 throughout."""
        decoder = copy.deepcopy(self.model.decoder).double()
        activation = {"softplus": lambda a: np.logaddexp(0, a), "sigmoid": expit}[
            decoder.output_module.activation
        ]
        measured, prior = self.measured.numpy(), self.model.prior
        k = self.counts[sample].double().numpy()[measured]
        weights, means, covariances = (
            values.detach().double().numpy() for values in (prior.weights, prior.means, prior.covariances())
        )

        normals = [stats.multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]

        @torch.no_grad()
        def value(z: np.ndarray) -> float:
            module, hidden = decoder.output_module, decoder.trunk(torch.tensor(z)[None])
            mu = (activation(module.layer_means(hidden)[0].numpy()) * self.scaling_factors[sample].item())[
                measured
            ]
            if module.name == "poisson":
                masses = stats.poisson.logpmf(k, mu)
            else:
                log_r = module.log_r if module.name == "nb_feature_dispersion" else module.layer_log_r(hidden)
                r = log_r[0].exp().numpy()[measured]
                masses = stats.nbinom.logpmf(k, r, r / (r + mu))
            densities = np.array([normal.logpdf(z) for normal in normals])
            return float(-masses.sum() - logsumexp(densities + np.log(weights)))

        return value


def _prior(kind: str, latent_dim: int, n_components: int, generator: torch.Generator) -> LatentPrior:
    if kind == "gradient":
        return GradientMixture(
            n_components, latent_dim, component_sd=0.7, softball_radius=2.0, generator=generator
        )
    z = torch.randn(40 * n_components, latent_dim, generator=generator)
    z += 2 * torch.randn(n_components, latent_dim, generator=generator).repeat(40, 1)
    return GaussianMixture(n_components, latent_dim, reg_covar=1e-3).fit(z, generator=generator)


def make_problem(
    name: str = "nb_feature_dispersion",
    *,
    widths: tuple[int, ...] = (),
    n_samples: int = 6,
    n_genes: int = 200,
    latent_dim: int = 4,
    n_components: int = 3,
    prior: str = "em",
    activation: str = "softplus",
    reads: float = 2e5,
    share_measured: float = 1.0,
    seed: int = 0,
) -> Problem:
    """A frozen model with means over four orders of magnitude, and counts drawn from it."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    options = {"output_dim": n_genes, "activation": activation}
    options |= {"r_init": 1.0} if name == "nb_feature_dispersion" else {}
    decoder = Decoder(latent_dim, widths, ["elu"] * len(widths), name, options)
    decoder.reset_parameters(generator=generator)
    profile = (
        torch.tensor(rng.lognormal(0, 2, n_genes)).softmax(0)
        if n_genes == 1
        else torch.tensor(rng.dirichlet(rng.lognormal(0, 1.5, n_genes)))
    )
    r = torch.tensor(rng.lognormal(1, 0.7, n_genes))
    decoder.output_module.initialise(0.9 * profile.clamp_min(1e-7), r, weight_scale=0.6, generator=generator)
    if name == "nb_full_dispersion":
        with torch.no_grad():
            decoder.output_module.layer_log_r.weight.normal_(0, 0.1, generator=generator)
    genes = [f"g{i}" for i in range(n_genes)]
    mixture = _prior(prior, latent_dim, n_components, generator)
    model = JointModel(genes, decoder, mixture, "total", (profile * n_genes).float())
    s = torch.tensor(rng.uniform(0.5, 2, n_samples) * reads).float()
    with torch.no_grad():
        z = mixture.sample(n_samples, generator=generator).float()
        outputs = decoder(z)
        module = decoder.output_module
        log_r = module.log_r_of(outputs)
        drawn = module._family.draw(
            1, generator, *(x for x in (module.means_of(outputs) * s[:, None], log_r) if x is not None)
        )[0]
    measured = torch.tensor(rng.random(n_genes) <= share_measured)
    return Problem(model.eval().requires_grad_(requires_grad=False), drawn, s, measured, z.double())


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """The maker of problems."""
    return make_problem
