# SPDX-License-Identifier: BSD-3-Clause
"""A calibration in a model file: all of it comes back, and what is damaged is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pydgd.checkpoints import ModelRecord, load_model, save_model
from pydgd.checkpoints.calibration import Calibration, take_calibration
from pydgd.stats.calibrated import NullModel
from pydgd.stats.empirical_null import EmpiricalNull
from pydgd.stats.spread import UsualSpread


def _calibration(n_genes: int | None = 6, n_residuals: int = 2_000) -> Calibration:
    rng = np.random.default_rng(0)
    null = EmpiricalNull.of(rng.standard_normal(n_residuals), rng.uniform(0, 9, n_residuals))
    log_r = None if n_genes is None else rng.standard_normal(n_genes)
    return Calibration(log_r, 1.2, NullModel(UsualSpread(0.9, 1.1, 0.7), null))


@pytest.mark.parametrize("n_residuals", [2_000, 90_000])
@pytest.mark.parametrize("n_genes", [6, None])
def test_what_is_saved_comes_back(
    tmp_path: Path, record: Callable[..., ModelRecord], n_genes: int | None, n_residuals: int
) -> None:
    """To the bit, with one stratum and with several, with r per gene and without."""
    calibration = _calibration(n_genes, n_residuals)
    made = record("nb_feature_dispersion" if n_genes else "poisson")
    save_model(replace(made, calibration=calibration), tmp_path / "m.dgd")
    found = load_model(tmp_path / "m.dgd").calibration
    assert found is not None
    assert found.tensors().keys() == calibration.tensors().keys()
    for name, tensor in calibration.tensors().items():
        torch.testing.assert_close(found.tensors()[name], tensor, rtol=0, atol=0)


def test_a_model_without_one_has_none(tmp_path: Path, record: Callable[..., ModelRecord]) -> None:
    """Older files, or too few samples held out."""
    save_model(record(), tmp_path / "m.dgd")
    assert load_model(tmp_path / "m.dgd").calibration is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("spread", torch.ones(2), "shapes"),
        ("spread", torch.tensor([1.0, 1.0, 2.0]), "least"),
        ("log_r", torch.zeros(5), "6 values"),
        ("log_r", torch.full((6,), 1e9), "within 100"),
        ("misfit_limit", torch.zeros(1), "misfit_limit"),
        ("knots", torch.zeros(1), "knots"),
        ("more", torch.zeros(1), "more"),
    ],
)
def test_damage_is_refused(name: str, value: torch.Tensor, message: str) -> None:
    """One clear sentence, not a failure in the middle of a search."""
    state = {**_calibration().tensors(), f"calibration.{name}": value}
    with pytest.raises(ValueError, match=message):
        take_calibration(state, n_genes=6)


@pytest.mark.parametrize("has_r", [True, False])
def test_r_is_there_if_the_model_has_one(has_r: bool) -> None:
    """Not in a Poisson model's file, nor missing from a negative binomial's."""
    state = dict(_calibration(None if has_r else 6).tensors())
    with pytest.raises(ValueError, match="one r per gene"):
        take_calibration(state, n_genes=6, has_r=has_r)


def test_tensors_of_others_are_left_alone() -> None:
    """Only its own are taken."""
    state = {**_calibration().tensors(), "profile": torch.ones(6)}
    assert take_calibration(state, n_genes=6) is not None
    assert list(state) == ["profile"]
