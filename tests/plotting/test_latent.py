# SPDX-License-Identifier: BSD-3-Clause
"""The map of the latent space by its artists, and its axes against scikit-learn."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color, to_rgba
from sklearn.decomposition import PCA

from pydgd.plotting import latent_map
from pydgd.plotting.palette import COLOURS, NEITHER, label_styles
from pydgd.plotting.projection import Plane


def samples(n: int, n_dims: int = 8, *, seed: int = 0, prefix: str = "S") -> pd.DataFrame:
    z = np.random.default_rng(seed).normal(size=(n, n_dims)) * np.arange(n_dims, 0, -1)
    return pd.DataFrame(z, index=[f"{prefix}{i}" for i in range(n)])


def drawn(ax, label: str) -> np.ndarray:
    return next(np.asarray(found.get_offsets()) for found in ax.collections if found.get_label() == label)


@pytest.mark.parametrize("n", [2, 50, 10_000])
def test_training_samples_lie_on_their_two_principal_components(ax, n) -> None:
    """Oracle: scikit-learn's PCA, with its shares of the variance on the axes."""
    z = samples(n)
    latent_map(z, ax=ax)
    pca = PCA(2, svd_solver="full").fit(z.to_numpy())
    np.testing.assert_allclose(drawn(ax, "training samples"), pca.transform(z.to_numpy()), atol=1e-8)
    assert ax.get_xlabel() == f"PC 1 ({100 * pca.explained_variance_ratio_[0]:.0f} % of variance)"
    assert ax.collections[0].get_rasterized() == (n > 2_000)


def test_queries_are_projected_and_do_not_move_the_axes(ax) -> None:
    """An outlying query leaves the training samples where they were."""
    z, queries = samples(50), samples(3, seed=1, prefix="Q") * 100
    latent_map(z, queries=queries, ax=ax)
    pca = PCA(2, svd_solver="full").fit(z.to_numpy())
    np.testing.assert_allclose(drawn(ax, "queries"), pca.transform(queries.to_numpy()), atol=1e-8)
    np.testing.assert_allclose(drawn(ax, "training samples"), pca.transform(z.to_numpy()), atol=1e-8)


@pytest.mark.parametrize(("n", "n_names"), [(1, 1), (20, 20), (21, 0)])
def test_few_queries_are_named(ax, n, n_names) -> None:
    """More than twenty names would hide the map."""
    latent_map(samples(30), queries=samples(n, seed=1, prefix="Q"), ax=ax)
    assert sorted(text.get_text() for text in ax.texts) == sorted(f"Q{i}" for i in range(n_names))


def test_labels_get_a_colour_each_and_more_than_eight_a_new_mark(ax) -> None:
    """Sixty-four pairs of colour and mark differ, whatever the order of the samples."""
    labels = [f"tissue {i:02d}" for i in range(64)]
    styles = label_styles(labels)
    assert len(set(styles.values())) == 64
    assert styles == label_styles(labels[::-1])
    assert [styles[label][0] for label in labels[:8]] == list(COLOURS)
    latent_map(samples(128), labels=labels * 2, ax=ax)
    assert ax.get_legend_handles_labels()[1] == labels


def test_labels_in_a_series_go_by_name(ax) -> None:
    """Whatever order they are in; a sample without one is unknown."""
    z = samples(3)
    latent_map(z, labels=pd.Series({"S2": "liver", "S0": "kidney"}), ax=ax)
    places = Plane.pca(z.to_numpy()).project(z.to_numpy())
    np.testing.assert_allclose(drawn(ax, "liver"), places[2:])
    np.testing.assert_allclose(drawn(ax, "kidney"), places[:1])
    np.testing.assert_allclose(drawn(ax, "unknown"), places[1:2])


def test_query_labels_share_the_colours_of_the_training_labels(ax) -> None:
    """A liver query looks like a liver sample."""
    latent_map(
        samples(4), labels=["kidney", "kidney", "liver", "liver"],
        queries=samples(1, seed=1), query_labels=["liver"], ax=ax,
    )  # fmt: skip
    colours = {found.get_label(): found.get_facecolor()[0, :3] for found in ax.collections}
    np.testing.assert_allclose(colours["queries"], colours["liver"])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_the_smallest_maps_work(ax, shape) -> None:
    """One sample, one dimension: everything is somewhere, nothing is not a number."""
    latent_map(samples(*shape), queries=samples(1, shape[1], seed=1), ax=ax)
    ax.figure.draw_without_rendering()
    assert np.isfinite(drawn(ax, "training samples")).all()
    assert np.isfinite(drawn(ax, "queries")).all()


def test_identical_samples_have_no_share_of_variance(ax) -> None:
    """No warning, no "nan %"."""
    latent_map(np.ones((5, 3)), ax=ax)
    assert ax.get_xlabel() == "PC 1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"representations": np.empty((0, 4))}, "nothing to plot: representations"),
        ({"representations": np.array([[np.nan, 1.0]])}, "missing or infinite"),
        ({"method": "umap"}, "method='umap' is unknown; choose one of 'pca'"),
        ({"labels": ["liver"]}, "labels has 1 values for 5 samples"),
        ({"queries": np.ones((2, 3))}, "queries has 3 latent dimensions, the representations have 8"),
        ({"queries": np.empty((0, 8))}, "nothing to plot: queries"),
        ({"queries": np.ones((2, 8)), "query_labels": ["a"]}, "query_labels has 1 values for 2 samples"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(ax, change, words) -> None:
    """The message names the argument and what came."""
    with pytest.raises(ValueError, match=words):
        latent_map(**{"representations": samples(5), "ax": ax, **change})


def test_the_legend_stands_beside_the_map(ax) -> None:
    """It hides no sample; many labels take more columns."""
    latent_map(samples(60), labels=[f"t{i}" for i in range(60)], ax=ax)
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    assert ax.get_legend()._ncols == 3


def test_numbers_colour_samples_by_a_bar(ax) -> None:
    """From the smallest to the largest of both; a sample without a number is grey."""
    z, queries = samples(40), samples(2, seed=1, prefix="Q")
    values = pd.Series(np.linspace(0.0, 3.0, 40), z.index, name="age")
    values.iloc[5] = np.nan
    latent_map(z, labels=values, queries=queries, query_labels=[0.0, 6.0], ax=ax)
    colours = ax.collections[0].get_facecolor()
    cividis = mpl.colormaps["cividis"]
    np.testing.assert_allclose(colours[0, :3], cividis(0.0)[:3])
    np.testing.assert_allclose(colours[39, :3], cividis(0.5)[:3], atol=0.02)
    np.testing.assert_allclose(colours[5, :3], to_rgba(NEITHER)[:3])
    bar = ax.figure.axes[-1]
    assert bar.get_ylabel() == "age"
    assert bar.get_ylim() == (0.0, 6.0)


def test_places_can_be_taken_as_they_are(ax) -> None:
    """The first two columns of an embedding, by their names."""
    z = samples(30).set_axis([f"UMAP {i}" for i in range(1, 9)], axis=1)
    latent_map(z, method="columns", ax=ax)
    np.testing.assert_array_equal(drawn(ax, "training samples"), z.iloc[:, :2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("UMAP 1", "UMAP 2")


def test_the_legend_shows_a_star_of_no_colour(ax) -> None:
    """Queries have colours of their own, so that none of them stands for all."""
    latent_map(samples(9), labels=["liver"] * 9, queries=samples(1, seed=1), query_labels=["liver"], ax=ax)
    handles = dict(
        zip(
            [text.get_text() for text in ax.get_legend().get_texts()],
            ax.get_legend().legend_handles,
            strict=True,
        )
    )
    assert handles["queries"].get_marker() == "*"
    assert handles["queries"].get_color() == "white"


def test_labels_that_only_queries_have_are_in_the_legend(ax) -> None:
    """As stars of their colour; labels that training samples have as well stand there once."""
    z = np.random.default_rng(0).normal(size=(6, 3))
    latent_map(
        z,
        labels=["liver"] * 3 + ["lung"] * 3,
        queries=z[:3],
        query_labels=["tumour", "lung", "cell line"],
        ax=ax,
    )
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "liver",
        "lung",
        "queries",
        "cell line",
        "tumour",
    ]
    drawn = next(found for found in ax.collections if found.get_label() == "queries").get_facecolors()
    stars = {
        text.get_text(): line for text, line in zip(legend.get_texts()[2:], legend.get_lines(), strict=True)
    }
    assert same_color(stars["tumour"].get_color(), drawn[0])
    assert same_color(stars["cell line"].get_color(), drawn[2])
