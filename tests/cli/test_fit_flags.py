# SPDX-License-Identifier: BSD-3-Clause
"""What commands say of samples without a close normal."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pydgd import DGD
from pydgd.cli.fit_flags import close_normal_news, limits_in_words
from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that held samples out, healthy.h5ad, and odd.h5ad whose genes are mixed up."""
    folder = tmp_path_factory.mktemp("larger")
    normals = simulate_cohort(n_tissues=2, n_per_tissue=40, n_genes=150, seed=3).normals
    DGD.fit(normals, latent_dim=4, epochs=5).save(folder / "normals.dgd")
    write_h5ad(normals[:4].copy(), folder / "healthy.h5ad")
    odd = normals[:5].copy()
    odd.X = odd.X[:, ::-1].copy()
    write_h5ad(odd, folder / "odd.h5ad")
    return folder


def table(*close: bool | None) -> pd.DataFrame:
    """Of samples s0, s1 and so on."""
    names = [f"s{i}" for i in range(len(close))]
    return pd.DataFrame({"dgd_close_normal": pd.array(close, dtype="boolean")}, index=names)


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (table(True, True), None),
        (table(True, False), "no close normal for 1 of 2 samples (s1): "),
        (table(*[False] * 5), "no close normal for 5 of 5 samples (s0, s1, s2, …): "),
        (table(None), "is not known: the model kept no reference of at least 5 held-out samples"),
        (pd.DataFrame(index=["s0"]), None),
    ],
)
def test_samples_are_named(fit: pd.DataFrame, expected: str | None) -> None:
    """The first three of them; nothing is said where there is nothing to say."""
    news = close_normal_news(fit)
    assert news is None if expected is None else expected in str(news)


@pytest.mark.parametrize("command", ["closest-normal", "de"])
def test_commands_warn_by_name(pydgd, larger: Path, tmp_path: Path, command: str) -> None:
    """Of samples unlike all others, and not of healthy ones."""
    out = tmp_path / ("result.h5ad" if command == "closest-normal" else "result.csv")
    done = pydgd(command, larger / "normals.dgd", larger / "odd.h5ad", "-o", out)
    assert done.code == 0, done.err
    assert "warning: no close normal for 5 of 5 samples (" in done.err
    done = pydgd(command, larger / "normals.dgd", larger / "healthy.h5ad", "-o", out)
    assert "close normal for" not in done.err
    assert "not known" not in done.err


def test_de_from_saved_normals_warns_too(pydgd, larger: Path, tmp_path: Path) -> None:
    """Of what the file says."""
    files = (larger / "normals.dgd", larger / "odd.h5ad")
    pydgd("closest-normal", *files, "-o", tmp_path / "normal.h5ad")
    done = pydgd("de", *files, "--normal", tmp_path / "normal.h5ad", "-o", tmp_path / "de.csv")
    assert done.code == 0, done.err
    assert "warning: no close normal for 5 of 5 samples (" in done.err


def test_info_says_from_where_on(pydgd, larger: Path) -> None:
    """In units of what is usual; or that the model does not tell."""
    model = DGD.load(larger / "normals.dgd")
    n_held_out = model.provenance["n_held_out_samples"]
    said = " ".join(pydgd("info", larger / "normals.dgd").out.split())
    assert f"times the usual distance of {n_held_out} held-out samples" in said
    bare = DGD(replace(model.record, reference=None))
    assert limits_in_words(bare) == "not told: the model kept no reference of at least 5 held-out samples"
