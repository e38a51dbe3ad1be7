# SPDX-License-Identifier: BSD-3-Clause
"""The training loop: what is skipped, when it stops, what it keeps."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from pydgd.core.outputbase import OutputModule
from pydgd.errors import TrainingError
from pydgd.inference import find_representations
from pydgd.training import EpochReport, TrainingResult, engine

Fitted = Callable[..., TrainingResult]


def script(monkeypatch: pytest.MonkeyPatch, values: Iterator[float], seen: list[dict[str, Tensor]]) -> None:
    """Let the looks at the held-out samples find these values; keep a copy of the model at each."""

    def nll(self: engine.Look) -> float:
        seen.append({name: tensor.clone() for name, tensor in self.run.model.state_dict().items()})
        return next(values)

    monkeypatch.setattr(engine.Look, "nll", nll)


def test_early_stopping_restores_the_best_state(monkeypatch, counts: np.ndarray, fitted: Fitted) -> None:
    """Looks get better, then worse: training stops after `patience` looks, and the best model comes back."""
    seen: list[dict[str, Tensor]] = []
    script(monkeypatch, iter([6.0, 5.0, 4.0, 4.5, 4.2, 9.9]), seen)
    result = fitted(counts[:50], held_out=counts[50:], epochs=20, validate_every=2, patience=2)
    assert result.best_epoch == 4
    assert len(result.history) == 8
    assert [
        name for name, tensor in result.model.state_dict().items() if not torch.equal(tensor, seen[2][name])
    ] == []
    looks = result.history.set_index("epoch").validation_nll.dropna()
    assert looks.to_dict() == {2: 5.0, 4: 4.0, 6: 4.5, 8: 4.2}


def test_last_state_stays_where_the_best_is_hardly_better(
    monkeypatch, counts: np.ndarray, fitted: Fitted
) -> None:
    """Of a gain of two nats a tenth counts; a fiftieth does not, nor does it stop a run."""
    for last, kept in ((4.04, 5), (4.2, 1)):
        seen: list[dict[str, Tensor]] = []
        script(monkeypatch, iter([6.0, 4.0, 4.04, 4.04, 4.04, last]), seen)
        result = fitted(counts[:50], held_out=counts[50:], epochs=5, validate_every=1, patience=2)
        assert (result.best_epoch, len(result.history)) == (kept, 5)
        state = result.model.state_dict()
        assert all(torch.equal(tensor, seen[kept][name]) for name, tensor in state.items())


def test_representations_belong_to_the_best_state(monkeypatch, counts: np.ndarray, fitted: Fitted) -> None:
    """They are those of the epoch that was kept, as a run that ends there shows."""
    script(monkeypatch, iter([3.0, 1.0, *[2.0] * 9]), [])
    options = {"held_out": counts[50:], "validate_every": 1, "patience": 3, "schedule": "constant"}
    stopped = fitted(counts[:50], epochs=10, **options)
    assert len(stopped.history) == 4
    script(monkeypatch, iter([3.0, 1.0]), [])
    assert torch.equal(stopped.representations, fitted(counts[:50], epochs=1, **options).representations)


def test_looks_that_find_nothing_finite_never_win(monkeypatch, counts: np.ndarray, fitted: Fitted) -> None:
    """NaN is not better than a number, and a run without a finite look keeps its last state."""
    script(monkeypatch, iter([np.nan, np.nan, 3.0, np.nan]), [])
    assert fitted(counts[:50], held_out=counts[50:], epochs=3, validate_every=1).best_epoch == 2
    script(monkeypatch, iter([np.nan, np.nan, np.inf, np.nan]), [])
    assert fitted(counts[:50], held_out=counts[50:], epochs=3, validate_every=1).best_epoch == 3


def test_start_is_kept_where_nothing_beats_it(
    monkeypatch, counts: np.ndarray, fitted: Fitted, caplog: pytest.LogCaptureFixture
) -> None:
    """The first look comes before the first epoch, and its state comes back with a warning."""
    seen: list[dict[str, Tensor]] = []
    script(monkeypatch, iter([1.0, *[2.0] * 9]), seen)
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        result = fitted(counts[:50], held_out=counts[50:], epochs=9, validate_every=1, patience=3)
    assert result.best_epoch == 0
    assert "no look at the held-out samples was better than the start" in caplog.text
    assert all(torch.equal(tensor, seen[0][name]) for name, tensor in result.model.state_dict().items())


@pytest.mark.parametrize("n", [33, 35, 40])
def test_no_batch_is_a_leftover(counts: np.ndarray, fitted: Fitted, n: int) -> None:
    """One sample more than a batch makes two halves, and the loss falls as with equal batches."""
    result = fitted(counts[:n], batch_size=32, epochs=10, learning_rate=0.01)
    losses = result.history.train_nll * counts.shape[1] + result.history.prior_nll
    assert losses.iloc[-1] < losses.iloc[0]
    assert losses.max() == losses.iloc[0]


def test_last_epoch_always_looks(counts: np.ndarray, fitted: Fitted) -> None:
    """Also where it is no multiple of the interval."""
    result = fitted(counts[:50], held_out=counts[50:], epochs=5, validate_every=3)
    assert result.history.set_index("epoch").validation_nll.dropna().index.tolist() == [3, 5]


def test_look_is_the_held_out_likelihood_per_count(counts: np.ndarray, fitted: Fitted) -> None:
    """A short search gives what a thorough one finds for the kept model, to a thousandth of a nat."""
    result = fitted(counts[::2], held_out=counts[1::2], epochs=6, validate_every=6)
    held_out = torch.tensor(counts[1::2])
    found = find_representations(result.model, held_out, held_out.sum(dim=1))
    expected = found.nll.mean().item() / held_out.shape[1]
    assert result.history.validation_nll.iloc[-1] == pytest.approx(expected, abs=1e-3)
    assert expected > result.history.train_nll.iloc[-1]


def poison(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[int], Callable[[Tensor], Tensor] | None]
) -> None:
    """Change what the likelihood returns at some of its calls."""
    original, calls = OutputModule.nll, iter(range(10**6))

    def nll(self: OutputModule, *args: object, **options: object) -> Tensor:
        change, value = broken(next(calls)), original(self, *args, **options)
        return value if change is None else change(value)

    monkeypatch.setattr(OutputModule, "nll", nll)


class InfiniteSlope(torch.autograd.Function):
    """The identity, with a gradient that overflows."""

    @staticmethod
    def forward(_ctx: object, x: Tensor) -> Tensor:
        """As it is."""
        return x.clone()

    @staticmethod
    def backward(_ctx: object, grad: Tensor) -> Tensor:
        """Infinity."""
        return grad * torch.inf


BREAKS = {
    "NaN loss": lambda value: value * torch.nan,
    "infinite loss, finite gradient": lambda value: value + torch.inf,
    "infinite gradient": InfiniteSlope.apply,
    "gradient beyond float32 in length only": lambda value: value * 1e33,
}


@pytest.mark.parametrize("what", BREAKS)
@pytest.mark.parametrize("when", [0, 3])
def test_batch_that_is_not_finite_is_skipped_and_reported(
    monkeypatch, caplog: pytest.LogCaptureFixture, counts: np.ndarray, fitted: Fitted, what: str, when: int
) -> None:
    """Parameters stay finite, the history counts the batch, its loss is left out of the mean."""
    poison(monkeypatch, lambda call: BREAKS[what] if call == when else None)
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        result = fitted(counts, epochs=3, batch_size=20)
    assert result.history.n_skipped.tolist() == ([1, 1, 1] if when == 0 else [0, 1, 1])
    assert all(tensor.isfinite().all() for tensor in result.model.state_dict().values())
    assert np.isfinite(result.history[["train_nll", "prior_nll", "seconds"]]).all(axis=None)
    assert result.history.train_nll.max() < 10
    assert [record.message for record in caplog.records if "skipped" in record.message] == [
        "skipped a batch of 20 samples: its loss or gradient is not finite"
    ]


def test_epoch_without_a_usable_batch_ends_training(monkeypatch, counts: np.ndarray, fitted: Fitted) -> None:
    """A model that learned nothing is not handed over as if it had."""
    poison(monkeypatch, lambda call: BREAKS["NaN loss"] if call >= 3 else None)
    with pytest.raises(TrainingError, match=r"no batch of this epoch .* lower learning_rate"):
        fitted(counts, epochs=3, batch_size=20)


def test_history_has_one_row_per_epoch(counts: np.ndarray, fitted: Fitted) -> None:
    """Columns are those of the report, without the number of epochs planned."""
    history = fitted(counts, epochs=5).history
    assert history.columns.tolist() == [name for name in EpochReport._fields if name != "n_epochs"]
    assert history.epoch.tolist() == [1, 2, 3, 4, 5]
    assert history.n_skipped.tolist() == [0] * 5
    assert history.validation_nll.isna().all()
    assert history.seconds.is_monotonic_increasing


def test_progress_is_told_after_every_epoch(counts: np.ndarray, fitted: Fitted) -> None:
    """The reports are the history, row by row, and know how many epochs are planned."""
    reports: list[EpochReport] = []
    result = fitted(counts[:50], held_out=counts[50:], epochs=4, validate_every=2, progress=reports.append)
    assert [report.n_epochs for report in reports] == [4] * 4
    for report, (_, row) in zip(reports, result.history.iterrows(), strict=True):
        np.testing.assert_equal(row.to_dict(), {k: v for k, v in report._asdict().items() if k != "n_epochs"})


def test_error_in_progress_ends_training(counts: np.ndarray, fitted: Fitted) -> None:
    """A caller can stop a run by raising; Ctrl-C comes through as well."""

    def stop(_report: EpochReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(counts, progress=stop)


def test_long_gradient_is_shortened(counts: np.ndarray, monkeypatch, fitted: Fitted) -> None:
    """A loss a million times too large at one step does not stop Adam for the rest of the run."""
    steady = fitted(counts, epochs=10, batch_size=20).history.train_nll
    poison(monkeypatch, lambda call: (lambda value: value * 1e6) if call == 5 else None)
    shaken = fitted(counts, epochs=10, batch_size=20).history.train_nll
    # Without the cut it ends 0.13 nats per count above.
    assert shaken.iloc[-1] == pytest.approx(steady.iloc[-1], abs=0.05)
