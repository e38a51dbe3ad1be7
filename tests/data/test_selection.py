# SPDX-License-Identifier: BSD-3-Clause
"""Samples by their labels."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.data.selection import select_samples
from pydgd.errors import ConfigError

OBS = pd.DataFrame(
    {
        "tissue": pd.Categorical(["liver", "lung", "bile duct", None]),
        "split": ["train", "train", "test", "train"],
        "age": [30, 45, 60, 30],
        "dose": [0.5, 1.0, np.nan, 2.0],
        "tumour": [True, False, True, False],
        "stage": pd.array([1, 2, None, 1], dtype="Int64"),
    },
    index=["S1", "S2", "S3", "S4"],
)


def cohort():
    return AnnData(np.arange(8).reshape(4, 2), obs=OBS.copy())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("split=train", "S1 S2 S4"),
        ("split!=train", "S3"),
        ("tissue=liver,bile duct", "S1 S3"),
        ("tissue!=liver,lung", "S3 S4"),
        ("tissue = liver , lung ", "S1 S2"),
        ("age=30", "S1 S4"),
        ("age=30.0", "S1 S4"),
        ("dose=1", "S2"),
        ("dose!=1", "S1 S3 S4"),
        ("stage=1", "S1 S4"),
        ("stage!=1", "S2 S3"),
        ("tumour=True", "S1 S3"),
        (["split=train", "age!=45"], "S1 S4"),
        (("split=train", "tissue=lung"), "S2"),
        ([], "S1 S2 S3 S4"),
    ],
)
def test_samples_that_meet_every_condition_are_chosen(expression, expected):
    """Text, categories, numbers, truth values; a missing label meets != and never =."""
    assert " ".join(select_samples(cohort(), expression).obs_names) == expected


def test_the_choice_is_a_copy():
    """Changing it leaves the cohort alone, without AnnData's warning."""
    given = cohort()
    chosen = select_samples(given, "split=train")
    chosen.X[:] = 7
    chosen.obs["new"] = 1
    assert given.X[0, 0] == 0
    assert "new" not in given.obs


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "cohort=READ",
            "no column 'cohort' in obs; there is 'tissue', 'split', 'age', 'dose', 'tumour', 'stage'",
        ),
        ("split=validation", "no split is 'validation'; there is 'train', 'test'"),
        ("split!=validation", "no split is 'validation'"),
        ("tissue=liver,kidney", "no tissue is 'kidney'; there is 'liver', 'lung', 'bile duct'"),
        ("age=old", "no age is 'old'; there is '30', '45', '60'"),
        ("split", "cannot read the condition 'split'; write column=value"),
        ("split=", "cannot read the condition"),
        ("=train", "cannot read the condition"),
        ("!=train", "cannot read the condition"),
        ("split=,", "cannot read the condition"),
        ("", "cannot read the condition"),
        (["split=test", "age=30"], "no sample meets 'split=test' and 'age=30'"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(expression, message):
    """Unknown columns and values get the list of those there are."""
    with pytest.raises(ConfigError) as caught:
        select_samples(cohort(), expression)
    assert message in str(caught.value)


def test_long_lists_are_cut():
    """Ten values and how many there are."""
    data = AnnData(
        np.ones((50, 1)),
        obs=pd.DataFrame({"donor": [f"D{i}" for i in range(50)]}, index=[f"S{i}" for i in range(50)]),
    )
    with pytest.raises(ConfigError, match=r"'D9', … \(50 in all\)"):
        select_samples(data, "donor=X")


def test_the_training_split_of_the_real_cohort(shared):
    """619 training samples, 109 held out."""
    normals = anndata.read_h5ad(shared / "data" / "normals.h5ad")
    assert select_samples(normals, "split=train").n_obs == 619
    assert select_samples(normals, "split!=train").n_obs == 109
