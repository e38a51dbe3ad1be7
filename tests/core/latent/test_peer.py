# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures of bulkdgd: read from its states, compared with its numbers (float32, hence the tolerances)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pydgd.core.latent import (
    GaussianMixture,
    gaussian_mixture_from_peer,
    gradient_mixture_from_peer,
    prior_from_peer,
    prior_to_peer,
)
from pydgd.core.latent.hyperpriors import Softball
from pydgd.core.latent.peer import TGMM_COVARIANCE_TYPES

LGMM_TYPES = ["fixed", "isotropic", "diagonal"]


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    """The peer's reference files."""
    return shared / "peer" / "artifacts" / "reference"


@pytest.fixture(scope="module")
def reference(folder: Path) -> dict[str, Any]:
    """The peer's reference numbers."""
    return json.loads((folder / "reference_values.json").read_text())


@pytest.fixture(scope="module")
def rows(folder: Path) -> Tensor:
    """The rows its EM was fitted to; every tenth has a stored density."""
    return torch.from_numpy(np.loadtxt(folder / "tgmm_X.csv", delimiter=","))


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("name", TGMM_COVARIANCE_TYPES)
def test_em_from_the_peer_s_start_ends_where_it_ended(
    name: str, reference: dict[str, Any], rows: Tensor
) -> None:
    """Weights, means, covariances to 2e-6; iterations equal; densities to 1e-5; BIC to 1e-4."""
    stored = reference["tgmm"][name]
    mixture = GaussianMixture.from_parameters(
        torch.full((3,), 1 / 3),
        double(stored["initial_means"]),
        double(stored["initial_covariances"]),
        covariance_type=TGMM_COVARIANCE_TYPES[name],
    )
    mixture.update(rows, max_iter=1000)
    assert (mixture.n_iter_, mixture.converged_) == (stored["n_iter"], True)
    assert mixture.lower_bound_ == pytest.approx(stored["lower_bound"], abs=1e-6)
    assert mixture.bic(rows) == pytest.approx(stored["bic"], abs=1e-4)
    np.testing.assert_allclose(mixture.weights, stored["weights"], atol=2e-6)
    np.testing.assert_allclose(mixture.means, stored["means"], atol=2e-6)
    np.testing.assert_allclose(mixture.natural_covariances, stored["covariances"], atol=2e-6)
    np.testing.assert_allclose(mixture.log_prob(rows[::10]), stored["log_prob"], atol=1e-5)
    np.testing.assert_allclose(mixture.responsibilities(rows[::10]), stored["sample_probs"], atol=1e-9)


@pytest.mark.parametrize("name", TGMM_COVARIANCE_TYPES)
def test_a_fit_from_scratch_is_as_good_as_the_peer_s(
    name: str, reference: dict[str, Any], rows: Tensor
) -> None:
    """Our own start reaches its bound to 1e-5 nats."""
    mixture = GaussianMixture(3, 4, covariance_type=TGMM_COVARIANCE_TYPES[name]).fit(rows)
    assert mixture.lower_bound_ == pytest.approx(reference["tgmm"][name]["lower_bound"], abs=1e-5)


@pytest.mark.parametrize("name", TGMM_COVARIANCE_TYPES)
def test_stored_tgmm_state_has_the_stored_density(
    name: str, folder: Path, reference: dict[str, Any], rows: Tensor
) -> None:
    """A `gmm.pth` scores as the peer scores with it, to 2e-6 nats."""
    prior = prior_from_peer(load(folder / f"tgmm_{name}.pth"))
    expected = reference["tgmm"][name]["log_prob"]
    np.testing.assert_allclose(prior.log_prob(rows[::10]), expected, atol=2e-6)


@pytest.mark.parametrize("name", LGMM_TYPES)
def test_stored_lgmm_state_has_the_stored_numbers(name: str, folder: Path, reference: dict[str, Any]) -> None:
    """Joint densities, loss, prior, joint probabilities and weights, relative to float32."""
    stored, z = reference["lgmm"][name], double(reference["lgmm_z"])
    mixture = gradient_mixture_from_peer(load(folder / f"lgmm_{name}.pth"), covariance_type=name)
    with torch.no_grad():
        joint, hyperprior = mixture.component_log_prob(z), mixture.log_hyperprior()
        loss = -(mixture.log_prob(z) + hyperprior / len(z))
        weights = mixture.weights
    np.testing.assert_allclose(joint, stored["log_prob_comp"], rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(loss, stored["forward"], rtol=1e-6)
    np.testing.assert_allclose(joint.exp(), stored["sample_probs"], rtol=5e-5)
    np.testing.assert_allclose(weights, stored["mixture_probs"], rtol=1e-6)
    assert hyperprior.item() == pytest.approx(stored["prior_log_prob"], rel=1e-6)


def test_softball_has_the_stored_density(reference: dict[str, Any]) -> None:
    """Inside, at the edge and outside, to 2e-6 nats."""
    stored = reference["softball_log_prob"]
    ball = Softball(stored["dim"], radius=float(stored["radius"]), sharpness=float(stored["sharpness"]))
    np.testing.assert_allclose(ball.log_prob(double(stored["x"])), stored["value"], atol=2e-6)


@pytest.mark.parametrize("latent", ["lgmm", "tgmm"])
@pytest.mark.parametrize("module", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_trained_mixtures_score_representations_as_the_peer_does(
    module: str, latent: str, shared: Path
) -> None:
    """30 held-out samples under five components in eight dimensions; tgmm floors posteriors at 1e-20."""
    folder = shared / "peer" / "artifacts" / f"{module}__{latent}"
    table = np.genfromtxt(folder / "rep_two_opt.csv", delimiter=",", skip_header=1)[:, 1:9]
    stored = np.genfromtxt(folder / "latent_log_prob_comp_two_opt.csv", delimiter=",", skip_header=1)[:, 1:6]
    prior = prior_from_peer(load(folder / "gmm.pth"))
    with torch.no_grad():
        joint = prior.component_log_prob(torch.from_numpy(table)).numpy()
    told = stored - stored.max(axis=1, keepdims=True) > -40
    np.testing.assert_allclose(joint[told], stored[told], rtol=1e-5, atol=1e-4)


@pytest.fixture
def tgmm_state() -> dict[str, Any]:
    """The smallest state of an EM mixture."""
    return {
        "weights_": torch.tensor([0.25, 0.75]),
        "means_": torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
        "covariances_": torch.tensor(0.5),
        "covariance_type": "tied_spherical",
    }


@pytest.fixture
def lgmm_state() -> dict[str, Tensor]:
    """The state of a gradient-trained mixture."""
    return {"_means": torch.ones(2, 3), "_weights": torch.zeros(2), "_log_var": torch.zeros(2, 3)}


def test_tgmm_options_are_kept(tgmm_state: dict[str, Any]) -> None:
    """A warm refit goes on with the regularisation and tolerance of the file; a plain number is a scalar."""
    mixture = gaussian_mixture_from_peer(tgmm_state | {"reg_covar": 1e-3, "tol": 1e-2, "covariances_": 0.5})
    assert mixture.config() == {
        "n_components": 2,
        "latent_dim": 3,
        "covariance_type": "tied_spherical",
        "reg_covar": 1e-3,
        "tol": 1e-2,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance_type": "EEV"}, r"covariance_type 'EEV'; .* tied_spherical"),
        ({"noise": True}, "noise component"),
        ({"weights_": torch.tensor([0.25, 0.25])}, r"the sum 0\.5"),
        ({"weights_": torch.tensor([1.0])}, r"weights must have shape \(2,\), got \(1,\)"),
        ({"means_": torch.zeros(3)}, "means_ must have 2 dimensions"),
        ({"means_": torch.full((2, 3), torch.nan)}, "means_ must be finite"),
        ({"covariances_": torch.tensor(-1.0)}, "not positive definite"),
        ({"covariances_": torch.ones(2)}, r"must have shape \(\), got \(2,\)"),
    ],
)
def test_damaged_tgmm_state_is_refused(
    change: dict[str, Any], message: str, tgmm_state: dict[str, Any]
) -> None:
    """Each impossibility is named."""
    with pytest.raises(ValueError, match=message):
        prior_from_peer(tgmm_state | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_weights": torch.zeros(3)}, r"weight_logits have shape \(3,\), expected \(2,\)"),
        ({"_log_var": torch.zeros(2, 2)}, r"log_var have shape \(2, 2\), expected \(2, 3\)"),
        ({"_log_var": torch.full((2, 3), torch.nan)}, "_log_var must be finite"),
        ({"_means": torch.zeros(2, 3, dtype=torch.int64)}, "floating-point"),
    ],
)
def test_damaged_lgmm_state_is_refused(
    change: dict[str, Tensor], message: str, lgmm_state: dict[str, Tensor]
) -> None:
    """Each impossibility is named."""
    with pytest.raises(ValueError, match=message):
        prior_from_peer(lgmm_state | change)


def test_missing_keys_are_named(tgmm_state: dict[str, Any], lgmm_state: dict[str, Tensor]) -> None:
    """What is missing and what is there, for either kind and for neither."""
    with pytest.raises(ValueError, match="the tgmm state lacks covariance_type; it has covariances_"):
        prior_from_peer({key: value for key, value in tgmm_state.items() if key != "covariance_type"})
    with pytest.raises(ValueError, match="the lgmm state lacks _weights"):
        prior_from_peer({key: value for key, value in lgmm_state.items() if key != "_weights"})
    with pytest.raises(ValueError, match=r"not a bulkdgd mixture: keys main\.0\.weight"):
        prior_from_peer({"main.0.weight": torch.zeros(2, 2)})


@pytest.mark.parametrize("kind", ["tgmm_state", "lgmm_state"])
def test_states_survive_the_round_trip(kind: str, request: pytest.FixtureRequest) -> None:
    """Written as bulkdgd writes and read again: the same tensors."""
    state = request.getfixturevalue(kind)
    written = prior_to_peer(prior_from_peer(state))
    for key, value in state.items():
        assert written[key] == value if isinstance(value, str) else torch.equal(written[key], value)


def test_written_tgmm_states_hold_what_bulkdgd_asks_for(tgmm_state: dict[str, Any]) -> None:
    """bulkdgd 2.0.1 refuses a state without its settings and start ("max_iter")."""
    written = prior_to_peer(prior_from_peer(tgmm_state))
    settings = {"max_iter", "n_init", "init_means", "cem", "verbose_interval", "converged_", "lower_bound_"}
    assert settings | {f"initial_{name}_" for name in ("weights", "means", "covariances")} <= written.keys()


def test_written_settings_are_those_of_the_peer(folder: Path) -> None:
    """As in a file that bulkdgd wrote itself, but for what its fit remembers."""
    stored = load(folder / "tgmm_full.pth")
    written = prior_to_peer(prior_from_peer(stored))
    remembered = {"n_iter_", "lower_bound_"}
    settings = {key: value for key, value in written.items() if not torch.is_tensor(value)}
    assert settings.keys() <= stored.keys()
    for key in settings.keys() - remembered:
        assert settings[key] == pytest.approx(stored[key]), key
    assert settings["n_iter_"] == 0
    assert np.isnan(settings["lower_bound_"])
