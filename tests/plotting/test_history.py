# SPDX-License-Identifier: BSD-3-Clause
"""The curves of a training run."""

import numpy as np
import pandas as pd
import pytest

from pydgd.plotting import loss_history


def history_of(n_epochs: int) -> pd.DataFrame:
    epochs = np.arange(1, n_epochs + 1)
    watched = np.where(epochs % 10 == 0, 6.0 + 0.001 * (epochs - 30) ** 2, np.nan)
    return pd.DataFrame({"epoch": epochs, "train_nll": 5.0 + 1 / epochs, "validation_nll": watched})


def test_held_out_losses_are_joined_over_epochs_without_a_look(ax) -> None:
    """Ten looks in a hundred epochs are one curve, not ten points with gaps."""
    loss_history(history_of(100), ax=ax)
    train, held_out, _ = ax.lines
    assert len(train.get_xdata()) == 100
    assert held_out.get_xdata().tolist() == list(range(10, 101, 10))


def test_the_best_epoch_is_marked(ax) -> None:
    """The one with the lowest held-out loss, with its value in the legend."""
    loss_history(history_of(100), ax=ax)
    assert set(ax.lines[-1].get_xdata()) == {30.0}
    assert ax.lines[-1].get_label() == "best: epoch 30, 6.000"


def test_without_held_out_samples_there_is_one_curve(ax) -> None:
    """All NaN, or no such column."""
    loss_history(history_of(9), ax=ax)
    assert [line.get_label() for line in ax.lines] == ["training samples"]
    other = loss_history(history_of(9).drop(columns="validation_nll"), ax=ax.figure.add_subplot())
    assert len(other.lines) == 1


def test_a_single_epoch_is_visible(ax) -> None:
    """A line through one point is nothing; a mark is."""
    loss_history(history_of(1), ax=ax)
    assert ax.lines[0].get_marker() == "o"


def test_no_epoch_is_an_error(ax) -> None:
    """And so is a table of something else."""
    with pytest.raises(ValueError, match="no epoch"):
        loss_history(history_of(0), ax=ax)
    with pytest.raises(ValueError, match="lacks the columns epoch"):
        loss_history(pd.DataFrame({"train_nll": [1.0]}), ax=ax)
