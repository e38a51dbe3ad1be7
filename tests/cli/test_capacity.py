# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd train --search`: the search of the API, printed and written, and the best trained."""

import pandas as pd
import pytest

from pydgd import DGD, read_counts

FEW = ["--epochs", "4", "--latent-dim", "3", "--hidden-layers", "6"]


def test_the_best_is_trained_and_the_table_is_the_api_s(pydgd, cohort, tmp_path) -> None:
    """Printed on stdout, every digit in the file; what is given by its own option is not varied."""
    done = pydgd(
        "train", cohort / "normals.h5ad", "--search", "--search-table", tmp_path / "search.csv", *FEW,
        "-o", tmp_path / "m.dgd",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = DGD.search_capacity(
        read_counts(cohort / "normals.h5ad"),
        latent_dim=3, n_units_hidden_layers=(6,), epochs=4,
    )  # fmt: skip
    written = pd.read_csv(tmp_path / "search.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(
        written.drop(columns="seconds"), found.table.drop(columns="seconds"), rtol=0, atol=0
    )
    options = DGD.load(tmp_path / "m.dgd").provenance["options"]
    assert {name: options[name] for name in found.options} == found.options
    assert options["n_units_hidden_layers"] == [6]
    assert "default" in done.out
    assert f"{found.table['nll'][0]:.4f}" in done.out
    assert "searching: " in done.err
    assert f"wrote {tmp_path / 'search.csv'} (" in done.err
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--search-table", "search.csv"], "add --search"),
        (["--search", "--search-table", "search.xlsx"], "cannot tell the format of"),
        (["--search", "--group-key", "tissue"], "ten groups"),
    ],
)
def test_what_cannot_be_searched_is_said(pydgd, cohort, tmp_path, monkeypatch, options, words) -> None:
    """One message, no model."""
    monkeypatch.chdir(tmp_path)
    done = pydgd("train", cohort / "normals.h5ad", *options, "-o", "m.dgd")
    assert done.code != 0
    assert not (tmp_path / "m.dgd").exists()
    assert words in done.err
