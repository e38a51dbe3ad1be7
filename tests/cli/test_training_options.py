# SPDX-License-Identifier: BSD-3-Clause
"""The command line and `TrainingConfig` say the same."""

import inspect

import pytest

from pydgd.cli.simulate import SIMULATION_OPTIONS
from pydgd.cli.training_options import TRAINING_OPTIONS, to_config
from pydgd.config import TrainingConfig, training_config
from pydgd.data import simulate_cohort


def test_every_option_of_a_training_is_on_the_command_line() -> None:
    """A field that is added to TrainingConfig must be added to the command as well; seed is shared."""
    assert {*TRAINING_OPTIONS, "seed"} == set(TrainingConfig.model_fields)


def test_defaults_are_those_of_the_configuration() -> None:
    """What --help shows is what TrainingConfig does."""
    shown = {name: choice.default for name, choice in TRAINING_OPTIONS.items()}
    assert training_config(**to_config(shown, seed=0)) == TrainingConfig()


def test_defaults_of_the_simulation_are_the_api_s() -> None:
    """What --help shows is what simulate_cohort does."""
    parameters = inspect.signature(simulate_cohort).parameters
    for name, choice in SIMULATION_OPTIONS.items():
        assert choice.default == parameters[name].default


@pytest.mark.parametrize(
    ("text", "expected"), [("", ()), ("64", (64,)), ("64,256", (64, 256)), (" 8 , 4,", (8, 4))]
)
def test_hidden_layers_are_given_with_commas(text, expected) -> None:
    """Spaces and a trailing comma do no harm."""
    given = {name: choice.default for name, choice in TRAINING_OPTIONS.items()}
    options = to_config({**given, "n_units_hidden_layers": text}, seed=0)
    assert training_config(**options).n_units_hidden_layers == expected
