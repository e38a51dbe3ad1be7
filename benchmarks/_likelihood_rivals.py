# SPDX-License-Identifier: BSD-3-Clause
"""What `likelihood.py` compares with: others' formulas for the negative binomial, and bulkdgd itself."""

import torch
from scipy import stats
from torch import Tensor

# Answers "both" and "mean only" with the CPU seconds of value and gradients, in m and r or in m alone, and
# "poisson" with those of its Poisson module.
PEER_SPEED = """
import json, sys, time
import torch
from bulkdgd.core.outputmodules import OutputModuleNBFeatureDispersion, OutputModulePoisson
torch.set_num_threads(1)
k, mu, log_r = torch.load(sys.argv[1])
mu.requires_grad_()
trained = log_r.clone().requires_grad_()
def run(question):
    if question == "poisson":
        torch.autograd.grad(-OutputModulePoisson.log_prob_mass(k, mu).sum(), mu)
        return
    both = question == "both"
    mass = OutputModuleNBFeatureDispersion.log_prob_mass(k, mu, (trained if both else log_r).exp())
    torch.autograd.grad(-mass.sum(), (mu, trained) if both else mu)
for line in sys.stdin:
    start = time.process_time()
    run(line.strip())
    print(json.dumps({"seconds": time.process_time() - start}))
"""

# Writes its log-masses at the points it is given.
PEER_ACCURACY = """
import json, sys
import torch
from bulkdgd.core.outputmodules import OutputModuleNBFeatureDispersion, OutputModulePoisson
k, m, r = torch.load(sys.argv[1])
masses = OutputModuleNBFeatureDispersion.log_prob_mass(k, m, r), OutputModulePoisson.log_prob_mass(k, m)
torch.save(masses, sys.argv[2])
print(json.dumps({}))
"""


def three_lgammas(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The formula of bulkdgd, as BULKDGD.md 2.1 states it: counts in float64, the rest in the dtype of m."""
    k, c = k.double(), 1 / (r + m + 1e-10)
    binomial = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return binomial + k * torch.log(m * c + 1e-10) + r * torch.log(r * c)


def three_lgammas_throughout(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The same with the counts in the dtype of m too, and without epsilon."""
    binomial = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return binomial + k * torch.log(m / (r + m)) + r * torch.log(r / (r + m))


def torch_distributions(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """What torch offers."""
    return torch.distributions.NegativeBinomial(r, logits=m.log() - r.log(), validate_args=False).log_prob(k)


def scvi_formula(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The log-mass that scvi-tools publishes, with its epsilon of 1e-8."""
    log_sum = torch.log(r + m + 1e-8)
    binomial = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return r * (torch.log(r + 1e-8) - log_sum) + k * (torch.log(m + 1e-8) - log_sum) + binomial


def scipy_logpmf(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """SciPy, in float64 whatever it gets."""
    k, m, r = (tensor.double().numpy() for tensor in (k, m, r))
    return torch.as_tensor(stats.nbinom.logpmf(k, r, r / (r + m)))


def poisson_by_lgamma(k: Tensor, m: Tensor) -> Tensor:
    """The Poisson formula of bulkdgd, as BULKDGD.md 2.1 states it."""
    return k.double() * torch.log(m + 1e-10) - m - torch.lgamma(k.double() + 1)


def torch_poisson(k: Tensor, m: Tensor) -> Tensor:
    """What torch offers."""
    return torch.distributions.Poisson(m, validate_args=False).log_prob(k)


def scipy_poisson(k: Tensor, m: Tensor) -> Tensor:
    """SciPy, in float64 whatever it gets."""
    return torch.as_tensor(stats.poisson.logpmf(k.double().numpy(), m.double().numpy()))


FORMULAS = (three_lgammas, three_lgammas_throughout, torch_distributions, scvi_formula, scipy_logpmf)
POISSON_FORMULAS = (poisson_by_lgamma, torch_poisson, scipy_poisson)
