# SPDX-License-Identifier: BSD-3-Clause
"""Messages of the command line name its options."""

import pytest

from pydgd.cli.app import app
from pydgd.cli.wording import in_options, options_of

OPTIONS = {"min_detected": "--min-detected", "n_components": "--components", "seed": "--seed"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("lower min_detected or check", "lower --min-detected or check"),
        ("n_components: at least 1", "--components: at least 1"),
        ("pass --round (min_detected=True in Python)", "pass --round (min_detected=True in Python)"),
        ("no column 'min_detected' in obs", "no column 'min_detected' in obs"),
        ("data/min_detected.h5ad: the seed", "data/min_detected.h5ad: the seed"),
        ("dgd_min_detected is a column", "dgd_min_detected is a column"),
    ],
)
def test_arguments_become_options(message: str, expected: str) -> None:
    """Where they are arguments; names of files, columns and plain words stay."""
    assert in_options(message, OPTIONS) == expected


def test_without_options_nothing_changes() -> None:
    """Such as before a command is known."""
    assert in_options("lower min_detected", {}) == "lower min_detected"


def test_options_are_those_of_the_command() -> None:
    """By what Python calls them."""
    train = options_of(app, ["train", "counts.h5ad", "-o", "m.dgd"])
    assert train["n_components"] == "--components"
    assert train["n_units_hidden_layers"] == "--hidden-layers"
    assert options_of(app, ["de"])["padj_below"] == "--padj-below"
    assert "counts" not in train
    assert options_of(app, []) == options_of(app, ["no-such-command"]) == {}
