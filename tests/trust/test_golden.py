# SPDX-License-Identifier: BSD-3-Clause
"""A release cannot change a number unseen: a kept model, kept counts, and what they gave when they were kept.

To renew them on purpose, with a line in CHANGELOG.md that says what changed and why:
``python -m tests.trust.test_golden``.
"""

from pathlib import Path

import pandas as pd

import pydgd

GOLDEN = Path(__file__).with_name("golden")
MOST_BYTES = 200_000


def table_of(model: pydgd.DGD) -> pd.DataFrame:
    """The table of every test, names as text."""
    counts = pydgd.read_counts(GOLDEN / "counts.csv")
    table = pydgd.differential_expression(counts, model.closest_normal(counts))
    return table.astype({"sample": str, "gene": str})


def fit_of(model: pydgd.DGD) -> pd.DataFrame:
    """Positions, likelihoods and flags."""
    counts = pydgd.read_counts(GOLDEN / "counts.csv")
    normal = model.closest_normal(counts)
    fit = normal.fit[["dgd_nll", "dgd_scaling_factor", "dgd_component", "dgd_close_normal", "dgd_ood_score"]]
    positions = pd.DataFrame(normal.representations, index=fit.index).add_prefix("z")
    return pd.concat([fit, positions], axis=1).rename_axis("sample").reset_index()


def test_every_number_is_as_it_was() -> None:
    """Within 1e-6: processors round their last bits differently."""
    model = pydgd.DGD.load(GOLDEN / "model.dgd")
    for name, made in (("tests.parquet", table_of(model)), ("fit.parquet", fit_of(model))):
        kept = pd.read_parquet(GOLDEN / name)
        pd.testing.assert_frame_equal(made, kept, rtol=1e-6, atol=1e-9, check_dtype=False)


def test_the_kept_files_are_small() -> None:
    """They travel with every clone."""
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) <= MOST_BYTES


def _renew() -> None:
    from pydgd.data import simulate_cohort

    cohort = simulate_cohort(n_tissues=2, n_per_tissue=40, n_genes=200, n_changed=2, n_unchanged=1, seed=9)
    model = pydgd.DGD.fit(cohort.normals, latent_dim=3, epochs=10, n_components=2, seed=0)
    model.save(GOLDEN / "model.dgd")
    cohort.cases.to_df().rename_axis("sample").to_csv(GOLDEN / "counts.csv")
    model = pydgd.DGD.load(GOLDEN / "model.dgd")
    table_of(model).to_parquet(GOLDEN / "tests.parquet")
    fit_of(model).to_parquet(GOLDEN / "fit.parquet")


if __name__ == "__main__":
    _renew()
