# SPDX-License-Identifier: BSD-3-Clause
"""Samples by a condition, columns by name."""

from pathlib import Path

import pandas as pd
import pytest

from pydgd.data.recount3 import filters
from pydgd.errors import ConfigError


@pytest.fixture
def metadata() -> pd.DataFrame:
    return pd.DataFrame(
        {"gtex.smtsd": ["Bladder", "Liver", "Skin - Leg"], "gtex.age": [30.5, 61.0, 44.0], "qc.age": 1},
        index=["a", "b", "c"],
    )


@pytest.mark.parametrize(
    ("expression", "samples"),
    [
        ("gtex.smtsd == 'Bladder'", "a"),
        ("smtsd != 'Bladder' and gtex.age < 50.5", "c"),
        ("SMTSD.str.contains('i.er')", "b"),
        ("`gtex.smtsd`.isin(['Liver', 'Bladder'])", "ab"),
        ("gtex.age.between(40.0, 62.0) & smtsd.str.lower().str.startswith('s')", "c"),
        ("smtsd == 'x.to_csv()' or gtex.age > 60", "b"),
    ],
)
def test_conditions_choose_samples(metadata, expression: str, samples: str) -> None:
    assert list(filters.query(metadata, expression).index) == list(samples)


@pytest.mark.parametrize(
    "expression",
    [
        "gtex.smtsd.to_csv('{path}')",
        "(gtex.age > 1).to_pickle('{path}')",
        "gtex.age . to_csv('{path}')",
        "smtsd.str.__class__",
        "gtex.age.pipe(print)",
        "@metadata",
        "gtex.age >",
        "nothing == 1",
        "age == 1",
        "gtex.age > 99",
    ],
)
def test_other_methods_and_nonsense_are_refused(metadata, expression: str, tmp_path: Path) -> None:
    """A samplesheet from anywhere writes no file; `age` alone could be of two tables."""
    path = tmp_path / "written"
    with pytest.raises(ConfigError, match="query"):
        filters.query(metadata, expression.format(path=path))
    assert not path.exists()


def test_columns_are_kept_and_dropped_by_short_name(metadata) -> None:
    assert list(filters.columns(metadata, keep=["SMTSD", "qc.age"], drop=["smtsd"])) == ["qc.age"]
    assert list(filters.columns(metadata, keep=[], drop=["qc.age"])) == ["gtex.smtsd", "gtex.age"]
    with pytest.raises(ConfigError, match=r"gtex\.age, qc\.age"):
        filters.columns(metadata, keep=["age"], drop=[])
    with pytest.raises(ConfigError, match="did you mean"):
        filters.columns(metadata, keep=["gtex.smtd"], drop=[])
