# SPDX-License-Identifier: BSD-3-Clause
"""Which shapes of a model are tried."""

import pytest

from pydgd.config import TrainingConfig, training_config
from pydgd.errors import ConfigError
from pydgd.training.candidates import GIVEN, HEADS, Candidate, candidates
from pydgd.training.fit import build_decoder, sized


@pytest.mark.parametrize("n_samples", [2, 3, 5, 12, 48, 150, 619, 20_000])
def test_the_default_rule_is_among_them_and_nothing_is_too_large(n_samples) -> None:
    """From two samples on; no candidate has more dimensions than a quarter of the samples, but the rule's."""
    tried = candidates(TrainingConfig(), n_samples=n_samples)
    usual = sized(TrainingConfig(), n_samples=n_samples)
    assert tried.rule == Candidate("linear", usual.latent_dim, usual.n_components)
    assert tried.rule in tried.shapes
    assert len(set(tried.shapes)) == len(tried.shapes)
    assert {one.head for one in tried.shapes} == set(HEADS)
    assert max(one.latent_dim for one in tried.shapes) <= max(usual.latent_dim, n_samples // 4)
    assert max(tried.n_components) <= n_samples
    assert tried.rule.n_components in tried.n_components


def test_what_is_given_is_not_varied() -> None:
    """Latent size, components, hidden layers; the rest is."""
    tried = candidates(training_config(latent_dim=7, n_components=3), n_samples=100)
    assert {(one.latent_dim, one.n_components) for one in tried.shapes} == {(7, 3)}
    assert tried.n_components == [3]
    layers = {"n_units_hidden_layers": (9,), "activations": "relu"}
    own = candidates(training_config(**layers), n_samples=100)
    assert {one.head for one in own.shapes} == {GIVEN}
    assert own.shapes[0].options(TrainingConfig()).keys() == {"latent_dim", "n_components"}


def test_what_is_asked_for_is_tried() -> None:
    """In order and once; the components of the rule go first only if they are among those asked for."""
    tried = candidates(
        TrainingConfig(), n_samples=100, heads=["mlp", "mlp"], latent_dims=[9, 3, 9], n_components=[2, 4]
    )
    assert tried.shapes == [Candidate("mlp", 3, 2), Candidate("mlp", 9, 2)]
    assert tried.n_components == [2, 4]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"heads": ["deep"]}, "linear, low-rank, mlp"),
        ({"heads": []}, "heads"),
        ({"latent_dims": [0]}, "got 0"),
        ({"latent_dims": [30]}, "got 30"),
        ({"n_components": [31, 5]}, "got 31"),
    ],
)
def test_what_cannot_be_is_refused(asked, words) -> None:
    with pytest.raises(ConfigError, match=words):
        candidates(TrainingConfig(), n_samples=30, **asked)


@pytest.mark.parametrize(
    ("head", "hidden", "n_weights"), [("linear", [], 8), ("low-rank", [256, 8], 8), ("mlp", [256], 256)]
)
def test_a_head_is_what_its_name_says(head, hidden, n_weights) -> None:
    """Widths of the hidden layers, and weights per gene; low-rank's last layer is linear."""
    config = training_config(**Candidate(head, 8, 2).options(TrainingConfig()))
    decoder = build_decoder(config, n_genes=5)
    assert decoder.config()["n_units_hidden_layers"] == hidden
    assert decoder.output_module.layer_means.weight.shape == (5, n_weights)
    if head == "low-rank":
        assert config.layer_activations == ["elu", "identity"]
        assert config.learning_rate == pytest.approx(0.01)
