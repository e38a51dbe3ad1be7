# SPDX-License-Identifier: BSD-3-Clause
"""Small records of every kind of model."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from pydgd.checkpoints import ModelRecord
from pydgd.core.decoder import Decoder
from pydgd.core.latent import PRIORS
from pydgd.core.model import JointModel

N, G, D, K = 5, 6, 3, 2


def make_record(
    name: str = "nb_feature_dispersion",
    prior: str = "em",
    widths: tuple[int, ...] = (),
    covariance_type: str | None = None,
    labels: tuple[str, ...] | None = ("liver", "liver", "Niere", "肺", 'a "quoted" one'),
) -> ModelRecord:
    """A record whose numbers come from a seed, as training could have left them."""
    generator = torch.Generator().manual_seed(5)
    options = {"output_dim": G, **({"r_init": 2.0} if name == "nb_feature_dispersion" else {})}
    decoder = Decoder(D, widths, ["elu"] * len(widths), name, options, 0.1)
    decoder.reset_parameters(generator=generator)
    mixture = PRIORS[prior](K, D, **({} if covariance_type is None else {"covariance_type": covariance_type}))
    z = torch.randn(40, D, generator=generator)
    mixture.update(z, max_iter=20)
    genes = [f"ENSG{i}" for i in range(G)]
    return ModelRecord(
        model=JointModel(genes, decoder, mixture, "total", torch.rand(G, generator=generator)).eval(),
        representations=z[:N],
        sample_names=tuple(f"sample {i}" for i in range(N)),
        labels=labels,
        history=pd.DataFrame(
            {
                "epoch": [1, 2],
                "train_nll": [5.25, np.inf],
                "validation_nll": [np.nan, 6.0],
                "prior_nll": [3.0, 2.5],
                "n_skipped": [0, 1],
                "seconds": [0.1, 0.2],
            }
        ),
        options={"latent_dim": D, "seed": 2**64 - 1, "n_units_hidden_layers": list(widths)},
        provenance={"n_genes": G, "versions": {"pydgd": "0.1"}},
    )


@pytest.fixture
def record() -> Callable[..., ModelRecord]:
    """The maker of records."""
    return make_record
