# SPDX-License-Identifier: BSD-3-Clause
"""Options of a training run: defaults, ranges, and errors that say what came and what is allowed."""

from typing import get_args

import pytest
from pydantic import ValidationError

from pydgd import config as config_module
from pydgd.config import TrainingConfig, training_config
from pydgd.core.decoder import ACTIVATIONS
from pydgd.core.latent import COVARIANCE_TYPES, GRADIENT_COVARIANCE_TYPES, PRIORS
from pydgd.core.outputmodules import OUTPUT_ACTIVATIONS, OUTPUT_MODULES
from pydgd.data import SCALING_RULES
from pydgd.errors import ConfigError
from pydgd.training.schedule import SCHEDULES

OUT_OF_RANGE = {
    "latent_dim": [0, -1, 2.5, "many"],
    "n_components": [0, -3, 1.5],
    "prior": ["lgmm", None, 1],
    "covariance_type": ["round", 3],
    "n_units_hidden_layers": [[0], [16, -1], [1.5], 16, "wide"],
    "activations": ["selu", 3, None],
    "output_module": ["zinb", None],
    "output_activation": ["relu", None],
    "dropout": [-0.1, 1.0, float("nan")],
    "scaling": ["size_factor", None],
    "min_detected": [-0.1, 1.0, float("nan")],
    "epochs": [0, -1, 1.5, None],
    "batch_size": [0, -1],
    "learning_rate": [0.0, -0.1, float("inf"), float("nan")],
    "schedule": ["step", None],
    "validation": [-0.1, 0.51, float("nan")],
    "validation_seed": [-1, 2**64, 1.5],
    "group_key": [3],
    "label_key": [3],
    "validate_every": [0],
    "patience": [0],
    "seed": [-1, 2**64, 1.5],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, vs in OUT_OF_RANGE.items() for v in vs])
def test_value_out_of_range_is_named_with_what_came(name: str, value: object) -> None:
    """The message starts with the option and holds the value."""
    with pytest.raises(ConfigError) as caught:
        training_config(**{name: value})
    lines = str(caught.value).splitlines()
    assert lines
    assert all(line.startswith(name) and "got " in line for line in lines)


def test_every_option_is_tried_out_of_range() -> None:
    """No option is missing above."""
    assert OUT_OF_RANGE.keys() == TrainingConfig.model_fields.keys()


@pytest.mark.parametrize("name", ["latent_dims", "lr", "n_epochs", "Seed", "", "self"])
def test_unknown_option_is_named_with_those_there_are(name: str) -> None:
    """A typing error is no silent default."""
    with pytest.raises(ConfigError) as caught:
        training_config(**{name: 1})
    message = str(caught.value)
    assert repr(name) in message
    assert all(known in message for known in TrainingConfig.model_fields)


def test_all_problems_are_told_at_once() -> None:
    """One line for each, so that a user corrects them in one go."""
    with pytest.raises(ConfigError) as caught:
        training_config(epochs=0, batch_size=-2, latentdim=3)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert {line.split(":")[0].split("'")[0] for line in lines} == {"epochs", "batch_size", "unknown option "}


@pytest.mark.parametrize(
    ("widths", "names"), [((), ("elu",)), ((8,), ()), ((8, 8), ("elu",)), ((8,), ("elu", "relu"))]
)
def test_activations_fit_the_hidden_layers(widths: tuple[int, ...], names: tuple[str, ...]) -> None:
    """One name for all, or one for each; the message says how many layers there are."""
    with pytest.raises(ConfigError, match=rf"^activations: .*\({len(widths)}\), got "):
        training_config(n_units_hidden_layers=widths, activations=names)


@pytest.mark.parametrize(
    ("widths", "names", "expected"),
    [((), "elu", []), ((8, 4), "relu", ["relu", "relu"]), ((8, 4), ("relu", "tanh"), ["relu", "tanh"])],
)
def test_layer_activations_name_one_per_layer(widths, names, expected) -> None:
    """A single name serves every layer."""
    assert training_config(n_units_hidden_layers=widths, activations=names).layer_activations == expected


@pytest.mark.parametrize("prior", ["em", "gradient"])
def test_covariance_type_belongs_to_the_prior(prior: str) -> None:
    """The types that a prior takes are those its class takes; the others are refused by name, not ignored."""
    known = {"em": COVARIANCE_TYPES, "gradient": GRADIENT_COVARIANCE_TYPES}
    for name in {*COVARIANCE_TYPES, *GRADIENT_COVARIANCE_TYPES}:
        if name in known[prior]:
            assert training_config(prior=prior, covariance_type=name).components_covariance == name
        else:
            with pytest.raises(ConfigError, match=f"^covariance_type: .*{prior}.*got '{name}'"):
                training_config(prior=prior, covariance_type=name)
    assert training_config(prior=prior).components_covariance in known[prior]


@pytest.mark.parametrize(
    ("literal", "registry"),
    [
        (config_module.Activation, ACTIVATIONS),
        (config_module.CovarianceType, {**COVARIANCE_TYPES, **GRADIENT_COVARIANCE_TYPES}),
        (TrainingConfig.model_fields["prior"].annotation, PRIORS),
        (TrainingConfig.model_fields["output_module"].annotation, OUTPUT_MODULES),
        (TrainingConfig.model_fields["output_activation"].annotation, OUTPUT_ACTIVATIONS),
        (TrainingConfig.model_fields["scaling"].annotation, SCALING_RULES),
        (TrainingConfig.model_fields["schedule"].annotation, SCHEDULES),
    ],
    ids=[
        "activation",
        "covariance_type",
        "prior",
        "output_module",
        "output_activation",
        "scaling",
        "schedule",
    ],
)
def test_names_are_those_of_the_registry(literal: object, registry: dict[str, object]) -> None:
    """What the options allow is what there is, no more and no less."""
    assert set(get_args(literal)) == set(registry)


def test_options_survive_json() -> None:
    """The options kept with a model rebuild the same configuration."""
    config = training_config(n_units_hidden_layers=(8, 4), activations=("relu", "tanh"), seed=2**64 - 1)
    assert training_config(**config.model_dump(mode="json")) == config


def test_configuration_cannot_be_changed() -> None:
    """A run's options stay what they were."""
    with pytest.raises(ValidationError):
        training_config().epochs = 3
