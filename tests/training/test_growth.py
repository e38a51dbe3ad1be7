# SPDX-License-Identifier: BSD-3-Clause
"""Further latent dimensions: nothing changes for the old samples, and new ones find their place."""

import numpy as np
import pytest
import torch

from pydgd.data import scaling_factors
from pydgd.training.growth import grown, padded


@pytest.fixture
def model(counts, fitted):
    """Of the first two tissues."""

    def made(**options):
        return fitted(counts[:40], **options).model.eval()

    return made


def new_samples(counts, model):
    x = torch.as_tensor(counts[40:])
    factors = scaling_factors(counts[40:], rule=model.scaling, profile=model.profile.double().numpy())
    return x, torch.as_tensor(factors).float()


@pytest.mark.parametrize("output_module", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
@pytest.mark.parametrize("scaling", ["total", "mean"])
def test_old_representations_mean_what_they_did(counts, model, output_module, scaling) -> None:
    """Means and dispersions at z and a zero in each further dimension; the decoder itself is not changed."""
    before = model(output_module=output_module, scaling=scaling)
    state = {name: value.clone() for name, value in before.state_dict().items()}
    more = grown(before, *new_samples(counts, before), n_more=3)
    z = torch.randn(7, 4)
    old, new = before.decoder(z), more.decoder(padded(z, 3))
    for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (old, new)), strict=True):
        torch.testing.assert_close(one, other)
    assert more.decoder.latent_dim == 7
    assert all(torch.equal(value, state[name]) for name, value in before.state_dict().items())


def test_new_samples_are_better_described_by_more_dimensions(counts, model) -> None:
    """Each one leaves less of the log counts of a tissue that the model has not seen."""
    before = model()
    x, s = new_samples(counts, before)
    left = []
    for n_more in (0, 1, 5):
        more = grown(before, x, s, n_more=n_more)
        expected = more.decoder(more.z).detach() * s[:, None]
        left.append(float((torch.log1p(x) - torch.log1p(expected)).square().mean()))
    assert left[1] < 0.9 * left[0]
    assert left[2] < 0.9 * left[1]
    assert more.z[:, 4:].square().mean(dim=0) == pytest.approx(np.ones(5), rel=1e-4)


def test_there_are_no_more_directions_than_samples(counts, model) -> None:
    before = model()
    x, s = new_samples(counts, before)
    assert grown(before, x[:2], s[:2], n_more=9).n_more == 2


def test_a_decoder_with_hidden_layers_keeps_its_dimensions(counts, model) -> None:
    """New samples get the places that the old model gives them."""
    before = model(n_units_hidden_layers=(8,))
    more = grown(before, *new_samples(counts, before), n_more=3)
    assert (more.n_more, more.z.shape) == (0, (20, 4))
    assert more.decoder is not before.decoder
