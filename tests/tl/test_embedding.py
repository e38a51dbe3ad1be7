# SPDX-License-Identifier: BSD-3-Clause
"""Embedding samples in few dimensions."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from sklearn.decomposition import PCA, KernelPCA

from pydgd import tl
from pydgd.errors import ConfigError, ModelFileError, NamesError, OutputError
from pydgd.tl.embedding_methods import METHODS


def table(n: int = 30, n_columns: int = 5, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, n_columns)) * 4
    values = centres[np.arange(n) % 3] + rng.normal(size=(n, n_columns))
    frame = pd.DataFrame(values, index=[f"S{i:02d}" for i in range(n)])
    return frame.set_axis([f"z{i + 1}" for i in range(n_columns)], axis=1).assign(
        tissue=list("abc" * (n // 3))
    )


def test_pca_is_scikit_learns() -> None:
    """Up to the sign of an axis; shares of variance too."""
    z = table().drop(columns="tissue")
    embedding = tl.fit_embedding(table(), "pca", n_components=3)
    theirs = PCA(3).fit(z)
    np.testing.assert_allclose(np.abs(embedding.coordinates), np.abs(theirs.transform(z)), atol=1e-12)
    np.testing.assert_allclose(embedding.explained, theirs.explained_variance_ratio_, rtol=1e-12)
    whitened = tl.fit_embedding(table(), "pca", whiten=True)
    np.testing.assert_allclose(whitened.coordinates.std(ddof=1), 1, rtol=1e-10)


@pytest.mark.parametrize(
    "options", [{}, {"gamma": 0.1}, {"kernel": "poly", "degree": 2}, {"kernel": "cosine"}]
)
def test_kernel_pca_is_scikit_learns(options: dict) -> None:
    """Old samples and new ones; the library's own transform is the oracle."""
    z, new = table().drop(columns="tissue"), table(seed=1).drop(columns="tissue")
    theirs = KernelPCA(2, **{"kernel": "rbf", "eigen_solver": "dense", **options}).fit(z)
    embedding = tl.fit_embedding(table(), "kpca", **options)
    np.testing.assert_allclose(embedding.coordinates, theirs.transform(z), atol=1e-8)
    np.testing.assert_allclose(embedding.transform(new), theirs.transform(new), atol=1e-8)


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=[pytest.mark.slow] if name == "umap" else []) for name in METHODS]
)
def test_clusters_stay_together_whatever_the_order(method: str) -> None:
    """Each sample's nearest neighbour is of its own cluster; rows in another order change nothing."""
    if method == "umap":
        pytest.importorskip("umap", exc_type=ImportError)
    data = table()
    first = tl.embed(data, method, seed=3)
    assert first.columns.tolist() == ["C1", "C2", "tissue"]
    places = first[["C1", "C2"]].to_numpy()
    distances = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(len(places), np.inf))
    assert (data["tissue"].to_numpy()[distances.argmin(axis=1)] == data["tissue"]).mean() > 0.9
    again = tl.embed(data.sample(frac=1, random_state=0), method, seed=3)
    pd.testing.assert_frame_equal(again.loc[first.index], first)


@pytest.mark.parametrize("method", ["pca", "kpca"])
def test_a_kept_embedding_places_new_samples_as_before(method: str, tmp_path: Path) -> None:
    """To the bit, and each by itself."""
    embedding = tl.fit_embedding(table(), method, n_components=3, prefix="P")
    embedding.save(tmp_path / "e.safetensors")
    loaded = tl.Embedding.load(tmp_path / "e.safetensors")
    new = table(seed=2)
    pd.testing.assert_frame_equal(loaded.transform(new), embedding.transform(new), check_exact=True)
    pd.testing.assert_frame_equal(loaded.coordinates, embedding.coordinates, check_exact=True)
    some = loaded.transform(new.iloc[[4, 1]])
    pd.testing.assert_frame_equal(some, loaded.transform(new).iloc[[4, 1]], check_exact=True)
    pd.testing.assert_frame_equal(loaded.transform(table()), embedding.coordinates, check_exact=True)
    assert loaded.options == embedding.options
    assert loaded.columns == ("z1", "z2", "z3", "z4", "z5")


@pytest.mark.parametrize("method", ["mds", "tsne"])
def test_methods_without_a_map_say_so(method: str, tmp_path: Path) -> None:
    """New samples and files need one."""
    embedding = tl.fit_embedding(table(), method)
    with pytest.raises(ConfigError, match=f"{method} cannot place new samples"):
        embedding.transform(table(seed=1))
    with pytest.raises(ConfigError, match="cannot be kept"):
        embedding.save(tmp_path / "e.safetensors")
    assert embedding.explained.isna().all()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_umap_places_new_samples_while_in_memory(tmp_path: Path) -> None:
    """Near their own cluster, each by itself; not from a file."""
    pytest.importorskip("umap", exc_type=ImportError)
    embedding = tl.fit_embedding(table(), "umap")
    new = table(seed=0).iloc[:6].drop(columns="tissue") + 0.01
    places = embedding.transform(new)
    pd.testing.assert_frame_equal(embedding.transform(new.iloc[[3]]), places.iloc[[3]])
    tissue = table()["tissue"]
    centres = embedding.coordinates.groupby(tissue).mean()
    distances = np.linalg.norm(places.to_numpy()[:, None] - centres.to_numpy(), axis=2)
    assert centres.index[distances.argmin(axis=1)].tolist() == tissue[:6].tolist()
    with pytest.raises(ConfigError, match="umap cannot be kept"):
        embedding.save(tmp_path / "e.safetensors")


def test_without_umap_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what else there is."""
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match=r"pydgd\[umap\]"):
        tl.embed(table(), "umap")


def test_columns_by_name_pattern_or_type() -> None:
    """Representations first; else all numbers."""
    data = table().assign(depth=np.arange(30.0))
    assert tl.fit_embedding(data).columns == ("z1", "z2", "z3", "z4", "z5")
    assert tl.fit_embedding(data, columns="^z[12]$|depth").columns == ("z1", "z2", "depth")
    assert tl.fit_embedding(data, columns=["depth", "z1"]).columns == ("depth", "z1")
    genes = data.rename(columns=lambda name: name.replace("z", "gene"))
    assert tl.fit_embedding(genes).columns == ("gene1", "gene2", "gene3", "gene4", "gene5", "depth")
    assert tl.embed(data, columns=["z1", "z2"], keep=False).columns.tolist() == ["C1", "C2"]


def test_values_that_are_not_finite_need_a_stand_in(tmp_path: Path) -> None:
    """The same one for new samples."""
    data = table()
    data.loc["S00", "z1"], data.loc["S01", "z2"], data.loc["S02", "z3"] = np.nan, np.inf, -np.inf
    with pytest.raises(ConfigError, match="sample 'S00' has the value nan in 'z1'"):
        tl.embed(data)
    embedding = tl.fit_embedding(data, fill=tl.Fill(nan=0.0, posinf=9.0, neginf=-9.0))
    filled = table()
    filled.loc["S00", "z1"], filled.loc["S01", "z2"], filled.loc["S02", "z3"] = 0.0, 9.0, -9.0
    pd.testing.assert_frame_equal(embedding.coordinates, tl.fit_embedding(filled).coordinates)
    embedding.save(tmp_path / "e")
    pd.testing.assert_frame_equal(tl.Embedding.load(tmp_path / "e").transform(data), embedding.coordinates)


def test_models_and_their_results_are_embedded_together(study) -> None:
    """Training samples with their labels, and queries in the same plane."""
    embedding = tl.fit_embedding(study.model)
    places = tl.embed(study.model)
    assert places.columns.tolist() == ["C1", "C2", "label"]
    from_normal = tl.embed(study.normal, fitted=embedding)
    annotated = tl.embed(study.normal.to_anndata(study.simulation.cases), fitted=embedding)
    np.testing.assert_allclose(from_normal[["C1", "C2"]], annotated[["C1", "C2"]])
    assert {"kind", "dgd_component"} <= set(annotated.columns)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "lda"}, ConfigError, "choose one of pca, kpca, mds, tsne, umap"),
        ({"perplexity": 3}, ConfigError, "pca has no option 'perplexity'"),
        ({"method": "kpca", "kernel": "precomputed"}, ConfigError, "kernel is 'precomputed'"),
        ({"n_components": 0}, ConfigError, "n_components is 0"),
        ({"n_components": 9}, ConfigError, "pca cannot be fitted on 30 samples and 5 columns"),
        ({"method": "tsne", "perplexity": 99.0}, ConfigError, "perplexity"),
        ({"columns": ["z9"]}, ConfigError, "no column 'z9'; there is z1"),
        ({"columns": "^q"}, ConfigError, "no column like '\\^q'"),
        ({"columns": "("}, ConfigError, "no regular expression"),
        ({"columns": ["tissue"]}, ConfigError, "'tissue' holds no numbers"),
        ({"data": table().iloc[:0]}, ConfigError, "no sample"),
        ({"data": table().iloc[[0, 0]]}, NamesError, "'S00' stands there twice"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, error: type[Exception], words: str) -> None:
    """With what is allowed."""
    with pytest.raises(error, match=words):
        tl.embed(**{"data": table(), **options})


def test_options_of_a_fitted_embedding_are_settled() -> None:
    """They would not be heeded."""
    embedding = tl.fit_embedding(table())
    with pytest.raises(ConfigError, match="n_components was settled"):
        tl.embed(table(), fitted=embedding, n_components=3)
    with pytest.raises(ConfigError, match="lack 1 of 5 columns"):
        embedding.transform(table().drop(columns="z3"))
    with pytest.raises(ConfigError, match="no obsm"):
        tl.embed(AnnData(np.ones((2, 2))))


def test_other_files_are_no_embeddings(tmp_path: Path, study) -> None:
    """Missing, text, damaged at any byte, or a model."""
    tl.fit_embedding(table()).save(tmp_path / "e")
    content = (tmp_path / "e").read_bytes()
    study.model.save(tmp_path / "model.dgd")
    (tmp_path / "text").write_text("no")
    for path in (tmp_path / "none", tmp_path, tmp_path / "text", tmp_path / "model.dgd"):
        with pytest.raises(ModelFileError, match=path.name):
            tl.Embedding.load(path)
    for place in range(0, len(content), max(1, len(content) // 40)):
        (tmp_path / "bad").write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ModelFileError, match="bad"):
            tl.Embedding.load(tmp_path / "bad")
    with pytest.raises(OutputError, match="folder"):
        tl.fit_embedding(table()).save(tmp_path / "no" / "e")


@pytest.mark.parametrize("rows", [1, 3])
def test_samples_without_differences(rows: int) -> None:
    """PCA puts them in one place, quietly; t-SNE would crash and is not begun."""
    same = pd.DataFrame(1.0, index=[f"S{i}" for i in range(rows)], columns=["z1", "z2"])
    for method in ("pca", "kpca"):
        found = tl.fit_embedding(same, method, n_components=1)
        np.testing.assert_allclose(found.coordinates, 0.0, atol=1e-12)
    for method in ("mds", "tsne"):
        with pytest.raises(ConfigError, match=f"{method} has no differences between samples"):
            tl.fit_embedding(same, method, n_components=1)
