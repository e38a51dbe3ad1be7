# SPDX-License-Identifier: BSD-3-Clause
"""The search of a model's capacity: what it tries, what it prefers, and that it always says the same."""

import logging

import numpy as np
import pandas as pd
import pytest

from pydgd import DGD
from pydgd.config import TrainingConfig
from pydgd.data import align_to_genes, simulate_cohort
from pydgd.errors import TrainingError
from pydgd.training import capacity, search_capacity
from pydgd.training.capacity import ROUNDS, Round, _standard_error

SMALL = {"heads": ["linear"], "latent_dims": [1, 4], "n_components": [2], "epochs": 4}


@pytest.fixture(scope="module")
def cohort():
    """60 samples of 3 tissues, 200 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=200, seed=0).normals


def shapes(table: pd.DataFrame) -> pd.DataFrame:
    return table[["head", "latent_dim", "n_components"]]


def test_all_are_tried_and_few_to_the_end(cohort) -> None:
    """Each once in the table, the best first; of each head a third goes on, and its best to the end."""
    found = DGD.search_capacity(
        cohort, epochs=4, heads=["linear", "mlp"], latent_dims=[1, 2, 4, 8], n_components=[2, 3]
    )
    table = found.table
    assert not shapes(table).duplicated().any()
    assert table["round"].is_monotonic_decreasing
    assert all(rows["nll"].is_monotonic_increasing for _, rows in table.groupby("round"))
    reached = table.groupby(["head", "latent_dim"])["round"].max().groupby("head")
    for _, rounds in reached:
        assert sorted(rounds) == [1, 1, 2, 3]
    assert table.groupby("round")["epochs"].unique().map(list).to_dict() == {1: [1], 2: [2], 3: [4]}
    assert np.isfinite(table[["nll", "behind", "behind_se"]]).all(axis=None)
    assert table.loc[0, ["behind", "behind_se"]].tolist() == [0, 0]
    best = {name: found.options[name] for name in ("latent_dim", "n_components")}
    assert best == table.loc[0, ["latent_dim", "n_components"]].to_dict()


def test_it_finds_what_the_data_need(cohort) -> None:
    """Three tissues cannot be told by one dimension, and 40 fit noise; in full and by halving."""
    sizes = {"heads": ["linear"], "latent_dims": [1, 4, 40], "n_components": [3]}
    table = DGD.search_capacity(cohort, epochs=20, **sizes).table
    assert table.loc[0, "latent_dim"] == 4
    assert set(table["latent_dim"]) == {1, 4, 40}


def test_it_says_the_same_every_time_in_any_order(cohort) -> None:
    """The order of samples and genes changes nothing, and time alone differs."""
    first = DGD.search_capacity(cohort, **SMALL)
    mixed = DGD.search_capacity(cohort[::-1, ::-1].copy(), **SMALL)
    pd.testing.assert_frame_equal(first.table.drop(columns="seconds"), mixed.table.drop(columns="seconds"))
    assert first.options == mixed.options


def test_the_best_is_trained_by_fit(cohort) -> None:
    """The options are those of `fit`, also of a head with hidden layers."""
    found = DGD.search_capacity(cohort, **{**SMALL, "heads": ["low-rank"], "latent_dims": [3]})
    model = DGD.fit(cohort, epochs=2, **found.options)
    decoder = model.record.model.decoder.config()
    assert decoder["n_units_hidden_layers"] == [256, 3]
    assert decoder["activations"] == ["elu", "identity"]


def test_later_rounds_see_the_genes_of_earlier_ones_and_more(cohort, monkeypatch) -> None:
    """As many as the round allows, and all of them in the last."""
    monkeypatch.setattr(capacity, "ROUNDS", (Round(0.5, 50), Round(1.0, np.inf)))
    table = DGD.search_capacity(cohort, **SMALL).table
    assert table["genes"].tolist() == [199, 50]  # one gene has reads in too few samples
    assert table["epochs"].tolist() == [4, 2]
    assert ROUNDS[-1] == Round(1.0, np.inf)


def test_a_candidate_that_cannot_be_trained_comes_last(cohort, monkeypatch, caplog) -> None:
    """With a warning; if none can, that is the error."""
    fit = capacity.fit

    def fails(*arguments, config, **options):
        if config.latent_dim == 4:
            raise TrainingError("no batch gave finite gradients")
        return fit(*arguments, config=config, **options)

    monkeypatch.setattr(capacity, "fit", fails)
    with caplog.at_level(logging.WARNING):
        table = DGD.search_capacity(cohort, **SMALL).table
    assert table["latent_dim"].tolist() == [1, 4]
    assert "goes on without Candidate(head='linear', latent_dim=4" in caplog.text
    with pytest.raises(TrainingError, match="no candidate"):
        DGD.search_capacity(cohort, **{**SMALL, "latent_dims": [4]})


def test_progress_counts_every_training(cohort) -> None:
    """From 1 to as many as were announced."""
    calls = []
    DGD.search_capacity(
        cohort, progress=lambda *numbers: calls.append(numbers), **{**SMALL, "n_components": [1, 2, 3]}
    )
    assert calls == [(i, 6) for i in range(1, 7)]


def test_too_few_donors_are_refused(cohort) -> None:
    """Nothing could be held out."""
    aligned = align_to_genes(cohort, list(cohort.var_names))
    with pytest.raises(TrainingError, match="at least ten groups of samples, got 5"):
        search_capacity(aligned, [str(i % 5) for i in range(60)], TrainingConfig())


def test_the_standard_error_is_that_of_groups() -> None:
    """Of one sample each: the textbook's; samples that repeat each other bring nothing."""
    values = np.random.default_rng(0).normal(size=40)
    alone = _standard_error(values, np.arange(40))
    assert alone == pytest.approx(values.std(ddof=1) / 40**0.5)
    assert _standard_error(np.repeat(values, 3), np.repeat(np.arange(40), 3)) == pytest.approx(alone)
