# SPDX-License-Identifier: BSD-3-Clause
"""What a report says of its numbers."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pydgd.stats import CalibrationReport


def report(*, size: float = 1.0, calls: int = 0, kind: str = "calibrated") -> CalibrationReport:
    """Two samples and 1,000 bright genes."""
    n_below = round(2 * size)
    return CalibrationReport(
        n_samples=2,
        n_genes=1000,
        pit=pd.DataFrame(
            {"p_values": kind, "left": [0.0, 0.5], "right": [0.5, 1.0], "n": 1000, "density": 1.0}
        ),
        ks=pd.DataFrame(
            {"p_values": kind, "decile": [1], "lowest": [20.4], "highest": [1e4], "n": [2000],
             "distance": [0.01]}
        ),
        sizes=pd.DataFrame(
            {"p_values": kind, "genes": "bright", "level": [0.05, 1e-3], "n": 2000, "n_below": [100, n_below],
             "size_over_level": [1.0, n_below / 2]}
        ),
        calls=pd.DataFrame({"p_values": kind, "sample": ["S1", "S2"], "calls": [0, 2 * calls]}),
        directions=pd.DataFrame({"p_values": [kind], "n_up": [3], "n_down": [0], "up_per_down": [np.inf]}),
        quantiles=pd.DataFrame({"p_values": kind, "genes": "bright", "observed": [0.0], "expected": [0.0]}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({}, []),
        ({"size": 2.0, "calls": 5}, []),
        ({"size": 3.0}, ["6 of 2,000 tests of bright genes have p <= 0.001, 3.0 times"]),
        ({"calls": 6}, ["6.0 genes per sample are called"]),
        ({"size": 3.0, "calls": 6}, ["3.0 times", "6.0 genes"]),
    ],
)
@pytest.mark.parametrize("kind", ["calibrated", "negative binomial"])
def test_problems_are_sizes_above_two_and_more_than_five_calls(numbers, words, kind) -> None:
    """Of the p-values that the model goes by; one sentence each."""
    found = report(**numbers, kind=kind).problems()
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_the_table_has_every_number_once(tmp_path) -> None:
    """In one long frame that any format can hold."""
    table = report(calls=4).table()
    assert table.columns.tolist() == ["p_values", "measure", "genes", "level", "n", "value"]
    values = dict(zip(zip(table["measure"], table["genes"], strict=True), table["value"], strict=True))
    assert values["calls per sample, mean", "all"] == 4
    assert values["calls per sample, max", "all"] == 8
    assert values["up per down", "could go either way"] == np.inf
    assert values["PIT distance from uniform", "decile 1: 20 to 10,000 reads"] == 0.01
    assert values["PIT density, 0.50 to 1.00", "all"] == 1
    assert len(table) == 2 + 3 + 1 + 1 + 2
    assert (table["n"] > 0).all()
    table.to_parquet(tmp_path / "report.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "report.parquet"), table)


def test_both_kinds_are_in_the_table_one_after_the_other() -> None:
    """Calibrated first."""
    one, other = report(), report(kind="negative binomial")
    fields = [field.name for field in dataclasses.fields(one)[2:]]
    both = dataclasses.replace(
        one, **{name: pd.concat([getattr(one, name), getattr(other, name)]) for name in fields}
    )
    assert both.table()["p_values"].tolist() == one.kinds * len(one.table()) + other.kinds * len(one.table())


def test_repr_is_one_line() -> None:
    """Not all of its frames."""
    assert repr(report(size=9.0)) == (
        "CalibrationReport(2 healthy samples, 1,000 genes, calibrated p-values, 1 problem)"
    )


def test_a_report_is_itself_alone_and_does_not_change() -> None:
    """Frames have no one truth to compare by."""
    one = report()
    assert one == one
    assert one != report()
    assert len({one, report()}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.n_genes = 3
