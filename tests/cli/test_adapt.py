# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd adapt`: a model for another laboratory."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pydgd import DGD, adapt, read_counts
from pydgd.stats.calibrated import NullModel


def test_it_is_the_function_of_that_name(
    pydgd: Callable, cohort: Path, healthy: Path, tmp_path: Path
) -> None:
    """The same model, of healthy samples and of patients; it says what was learnt anew."""
    for flag, is_healthy, said in (
        ("--healthy", True, "calibrated anew"),
        ("--patients", False, "as before"),
    ):
        output = tmp_path / f"{is_healthy}.dgd"
        done = pydgd("adapt", cohort / "normals.dgd", healthy, "-o", output, flag)
        assert done.code == 0, done.err
        assert f"adapted to 20 samples: p-values {said}" in done.err.replace("calibrated as", "as")
        known = adapt(DGD.load(cohort / "normals.dgd"), read_counts(healthy), healthy=is_healthy)
        state = DGD.load(output).record.model.state_dict()
        assert all(torch.equal(x, state[name]) for name, x in known.record.model.state_dict().items())


def test_what_could_not_be_calibrated_anew_is_not_said_to_be(
    pydgd: Callable, cohort: Path, healthy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the healthy samples tell too little, the first laboratory's distribution is kept."""

    def too_little(_: object) -> None:
        raise ValueError("too few residuals")

    monkeypatch.setattr(NullModel, "of", too_little)
    done = pydgd("adapt", cohort / "normals.dgd", healthy, "-o", tmp_path / "m.dgd")
    assert done.code == 0, done.err
    assert "p-values calibrated as before" in done.err


def test_too_few_samples_are_refused(pydgd: Callable, cohort: Path, tmp_path: Path) -> None:
    """And nothing is written."""
    command = ["adapt", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "m.dgd"]
    refused = pydgd(*command, "--where", f"case={read_counts(cohort / 'cases.h5ad').obs.iloc[0, 0]}")
    assert refused.code == 2
    assert not list(tmp_path.iterdir())
