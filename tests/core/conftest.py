"""The registry of output modules: one contract is run on all of them through the fixture `case`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from jaxtyping import config
from scipy import stats
from torch import Tensor

from pydgd.core.outputmodules import (
    OutputModule,
    OutputModuleNBFeatureDispersion,
    OutputModuleNBFullDispersion,
    OutputModulePoisson,
)


@dataclass(frozen=True)
class Case:
    """How the shared contract builds and calls one class."""

    cls: type[OutputModule]
    options: dict[str, float]
    predicts_r: bool
    has_r: bool

    def build(self, input_dim: int = 4, output_dim: int = 3, **options) -> OutputModule:
        """A module whose r is 2 where it is per gene, the same at every call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.cls(input_dim, output_dim, **{**self.options, **options})

    def predictions(self, means: Tensor, r: float = 2.0) -> tuple[Tensor, ...]:
        """What stands between counts and scaling factors in the module's signatures."""
        log_r = torch.full_like(means, math.log(r))
        return (means, log_r) if self.predicts_r else (means,)

    def oracle(self, k: Tensor, mu: Tensor, r: float = 2.0) -> np.ndarray:
        """SciPy's log-mass in float64."""
        k, mu = k.double().numpy(), mu.double().numpy()
        return stats.nbinom.logpmf(k, r, r / (r + mu)) if self.has_r else stats.poisson.logpmf(k, mu)


CASES = [
    Case(OutputModuleNBFeatureDispersion, {"r_init": 2.0}, predicts_r=False, has_r=True),
    Case(OutputModuleNBFullDispersion, {}, predicts_r=True, has_r=True),
    Case(OutputModulePoisson, {}, predicts_r=False, has_r=False),
]


@pytest.fixture
def untyped() -> Iterator[None]:
    """Annotations are not checked, as outside of the tests: the code's own checks answer."""
    checked = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", checked)


@pytest.fixture(params=CASES, ids=lambda case: case.cls.name)
def case(request: pytest.FixtureRequest) -> Case:
    """Each of the three output modules."""
    return request.param


@pytest.fixture(params=CASES[:2], ids=lambda case: case.cls.name)
def nb_case(request: pytest.FixtureRequest) -> Case:
    """Each of the two negative binomial output modules."""
    return request.param
