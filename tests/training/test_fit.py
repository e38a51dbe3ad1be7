# SPDX-License-Identifier: BSD-3-Clause
"""From counts to a trained model: every kind, hard counts, small cohorts, the same result every time."""

import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pydgd.config import training_config
from pydgd.errors import TrainingError
from pydgd.training import TrainingResult
from pydgd.training.fit import sized

Fitted = Callable[..., TrainingResult]

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]


def bits(result: TrainingResult) -> list[bytes]:
    """Everything that training made."""
    tensors = [*result.model.state_dict().values(), result.representations]
    return [tensor.numpy().tobytes() for tensor in tensors]


def assert_finite(result: TrainingResult) -> None:
    """No NaN and no infinity anywhere."""
    assert all(tensor.isfinite().all() for tensor in result.model.state_dict().values())
    assert result.representations.isfinite().all()
    assert np.isfinite(result.history[["train_nll", "prior_nll"]]).all(axis=None)


@pytest.mark.parametrize("scaling", ["total", "mean", "median"])
@pytest.mark.parametrize("widths", [(), (16,)])
@pytest.mark.parametrize("prior", ["em", "gradient"])
@pytest.mark.parametrize("output_module", MODULES)
def test_every_kind_of_model_learns(
    counts: np.ndarray, fitted: Fitted, output_module: str, prior: str, widths: tuple[int, ...], scaling: str
) -> None:
    """The loss falls, all values are finite, no batch is skipped, and the prior fits the representations."""
    result = fitted(
        counts,
        output_module=output_module,
        prior=prior,
        n_units_hidden_layers=widths,
        scaling=scaling,
        epochs=6,
        learning_rate=0.01,
    )
    assert_finite(result)
    losses = result.history.train_nll * counts.shape[1] + result.history.prior_nll
    assert losses.iloc[-1] < losses.iloc[0]
    assert result.history.n_skipped.iloc[-1] == 0
    # A standard normal on unit-variance representations would have 1.42 nats per dimension.
    assert result.history.prior_nll.iloc[-1] < 4 * 2


@pytest.mark.parametrize(
    "covariance_type", ["full", "diagonal", "spherical", "tied_diagonal", "tied_spherical"]
)
def test_every_covariance_of_the_mixture_trains(
    counts: np.ndarray, fitted: Fitted, covariance_type: str
) -> None:
    """More components than tissues and few samples for each: regularised, not singular."""
    assert_finite(fitted(counts, covariance_type=covariance_type, n_components=10, latent_dim=8))


@pytest.mark.parametrize("scaling", ["total", "mean"])
@pytest.mark.parametrize("output_module", MODULES)
def test_odd_counts_train(odd_counts: np.ndarray, fitted: Fitted, output_module: str, scaling: str) -> None:
    """Finite, without a skipped batch."""
    result = fitted(odd_counts, output_module=output_module, scaling=scaling, latent_dim=8)
    assert_finite(result)
    assert result.history.n_skipped.iloc[-1] == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("widths", [(), (16,)])
def test_no_seed_breaks_a_run_with_a_high_rate(counts: np.ndarray, fitted: Fitted, seed: int, widths) -> None:
    """Ten times the default learning rate learns badly, but stays finite."""
    assert_finite(fitted(counts, seed=seed, learning_rate=0.3, n_units_hidden_layers=widths, epochs=8))


@pytest.mark.parametrize("scaling", ["total", "mean"])
def test_sigmoid_trains(counts: np.ndarray, fitted: Fitted, scaling: str) -> None:
    """Finite also where means above the scaling factor are out of its reach."""
    assert_finite(fitted(counts, output_activation="sigmoid", scaling=scaling))


@pytest.mark.parametrize(("n_samples", "n_genes"), [(2, 200), (3, 5), (60, 1), (2, 1), (5, 2)])
@pytest.mark.parametrize("output_module", MODULES)
def test_smallest_cohorts_train(
    counts: np.ndarray, fitted: Fitted, output_module: str, n_samples: int, n_genes: int
) -> None:
    """Two samples or one gene are little to learn from, but no error."""
    bright = np.argsort(-counts.min(axis=0))[:n_genes]
    result = fitted(counts[:n_samples, bright], output_module=output_module, n_components=1)
    assert_finite(result)
    assert result.model.decoder.n_genes == n_genes
    assert result.representations.shape == (n_samples, min(4, n_samples - 1))


@pytest.mark.parametrize("n_samples", [0, 1])
def test_one_sample_is_refused(n_samples: int) -> None:
    """The message says how many are needed, and what one sample is good for."""
    with pytest.raises(TrainingError, match=rf"at least 2 samples, got {n_samples}; .*query"):
        sized(training_config(), n_samples=n_samples)


def test_fewer_samples_than_components_are_refused(counts: np.ndarray, fitted: Fitted) -> None:
    """The message gives both numbers and the way out."""
    with pytest.raises(TrainingError, match=r"^11 mixture components .* got 10 .* n_components"):
        fitted(counts[:10], n_components=11)
    assert_finite(fitted(counts[:10], n_components=10))


@pytest.mark.parametrize(("n_samples", "expected"), [(2, 1), (39, 1), (40, 2), (619, 30), (100_000, 30)])
def test_number_of_components_follows_the_samples(n_samples: int, expected: int) -> None:
    """One per 20 samples, at most 30."""
    assert sized(training_config(), n_samples=n_samples).n_components == expected


def test_latent_dimensions_are_at_most_samples_less_one(caplog: pytest.LogCaptureFixture) -> None:
    """Fewer than asked for are said aloud, and the options used are those of the result."""
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        assert sized(training_config(latent_dim=64), n_samples=10).latent_dim == 9
    assert "9 latent dimensions for 10 samples may fit noise (asked for: 64)" in caplog.text
    caplog.clear()
    assert sized(training_config(latent_dim=2), n_samples=10).latent_dim == 2
    assert not caplog.records


@pytest.mark.parametrize(("n_samples", "latent_dim"), [(2, 1), (10, 1), (80, 13), (384, 64), (10_000, 64)])
def test_usual_latent_dimensions_follow_the_samples(n_samples: int, latent_dim: int) -> None:
    """One per six samples, at most 64."""
    assert sized(training_config(), n_samples=n_samples).latent_dim == latent_dim


def test_options_of_the_result_are_those_used(counts: np.ndarray, fitted: Fitted) -> None:
    """What depends on the number of samples is filled in."""
    config = fitted(counts[:10], latent_dim=64, n_components=None).config
    assert (config.latent_dim, config.n_components, config.covariance_type) == (9, 1, "tied")


RANDOM = [
    {},
    {"n_units_hidden_layers": (8,)},
    {"n_units_hidden_layers": (8,), "dropout": 0.5},
    {"prior": "gradient"},
]


@pytest.mark.parametrize("options", RANDOM, ids=str)
def test_same_seed_gives_the_same_bits(counts: np.ndarray, fitted: Fitted, options: dict) -> None:
    """Whatever the caller's random state; another seed gives another model."""
    first = bits(fitted(counts, batch_size=20, **options))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        assert bits(fitted(counts, batch_size=20, **options)) == first
    assert bits(fitted(counts, batch_size=20, seed=1, **options)) != first


@pytest.mark.parametrize("options", RANDOM, ids=str)
def test_global_random_state_is_untouched(counts: np.ndarray, fitted: Fitted, options: dict) -> None:
    """Neither torch's nor NumPy's moves."""
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fitted(counts, **options)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_global_random_state_is_restored_after_an_error(counts: np.ndarray, fitted: Fitted) -> None:
    """Also where training is interrupted."""

    def stop(_report: object) -> None:
        raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fitted(counts, progress=stop)
    assert torch.equal(torch.get_rng_state(), before)


def test_counts_are_not_changed(counts: np.ndarray, fitted: Fitted) -> None:
    """The caller's matrix stays as it was."""
    before = counts.copy()
    fitted(counts)
    assert np.array_equal(counts, before)


def test_counts_beyond_float32_train(counts: np.ndarray, fitted: Fitted) -> None:
    """Aligned counts are float64 where one is above 2**24."""
    large = counts.astype(np.float64)
    large[0, 0] = 2**24 + 1
    assert_finite(fitted(large))
