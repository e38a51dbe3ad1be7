"""The decoder: shapes, options, configuration, start values, and files of bulkdgd."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import Tensor, nn

from pydgd.core.decoder import ACTIVATIONS, Decoder, from_peer_state_dict, to_peer_state_dict

OPTIONS = {
    "nb_feature_dispersion": {"output_dim": 7, "activation": "softplus", "r_init": 2.0},
    "nb_full_dispersion": {"output_dim": 7, "activation": "sigmoid", "log_r_activation": "same"},
    "poisson": {"output_dim": 7},
}
HIDDEN = {"linear": [], "one layer": [5], "three layers": [5, 9, 6]}

each_module = pytest.mark.parametrize("name", OPTIONS)
each_depth = pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)


def build(name: str = "poisson", hidden: tuple[int, ...] | list[int] = (5,), **changes) -> Decoder:
    """A decoder of 3 latent dimensions and 7 genes."""
    arguments = {
        "n_units_input_layer": 3,
        "n_units_hidden_layers": hidden,
        "activations": ["relu", "elu", "tanh"][: len(hidden)],
        "output_module_name": name,
        "output_module_options": OPTIONS[name],
    }
    return Decoder(**{**arguments, **changes})


def tensors(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


@each_module
@each_depth
@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 5, 4)])
def test_forward_keeps_the_leading_dimensions(name: str, hidden: list[int], batch: tuple[int, ...]) -> None:
    """(..., D) to (..., G), one tensor or two, and rows do not depend on each other."""
    decoder = build(name, hidden)
    z = torch.randn(*batch, 3)
    outputs = decoder(z)
    assert isinstance(outputs, tuple) == (name == "nb_full_dispersion")
    for output in tensors(outputs):
        assert output.shape == (*batch, 7)
    rows = decoder(z.reshape(-1, 3))
    for output, row in zip(tensors(outputs), tensors(rows), strict=True):
        torch.testing.assert_close(output.reshape(-1, 7), row)


@each_module
def test_forward_is_the_composition_of_its_layers(name: str) -> None:
    """Linear map, activation, next layer; nothing else between latent position and output module."""
    decoder, z = build(name, [5, 9]), torch.randn(4, 3)
    state = decoder.state_dict()
    h = torch.relu(nn.functional.linear(z, state["trunk.0.0.weight"], state["trunk.0.0.bias"]))
    h = nn.functional.elu(nn.functional.linear(h, state["trunk.1.0.weight"], state["trunk.1.0.bias"]))
    for output, expected in zip(tensors(decoder(z)), tensors(decoder.output_module(h)), strict=True):
        torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_runs_and_lets_gradients_through(activation: str) -> None:
    """Every name on offer, from z to the loss and back."""
    decoder = build(hidden=[5], activations=[activation])
    z = torch.randn(4, 3, requires_grad=True)
    decoder.output_module.nll(torch.ones(4, 7), decoder(z), torch.ones(4)).sum().backward()
    assert torch.isfinite(z.grad).all()
    assert (z.grad != 0).any()


# torch.func's forward mode still compiles a decomposition with its own deprecated tool.
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
@each_module
@each_depth
def test_forward_and_reverse_jacobians_agree(name: str, hidden: list[int]) -> None:
    """The search needs d means / dz: forward-mode differentiation works through every layer."""
    decoder = build(name, hidden).double()
    z = torch.randn(3, dtype=torch.float64)

    def means(position: Tensor) -> Tensor:
        return decoder.output_module.means_of(decoder(position))

    torch.testing.assert_close(torch.func.jacfwd(means)(z), torch.func.jacrev(means)(z))


def test_sizes_are_attributes() -> None:
    """D and G, and as many blocks as hidden layers."""
    decoder = build(hidden=[5, 9])
    assert (decoder.latent_dim, decoder.n_genes, len(decoder.trunk)) == (3, 7, 2)


def test_dropout_acts_in_training_only() -> None:
    """Two passes differ in training mode and agree in evaluation mode."""
    decoder, z = build(hidden=[50], dropout=0.5), torch.randn(4, 3)
    assert not torch.equal(decoder(z), decoder(z))
    decoder.eval()
    assert torch.equal(decoder(z), decoder(z))


@each_module
@each_depth
def test_configuration_survives_json(name: str, hidden: list[int]) -> None:
    """A decoder built from the stored configuration takes the state and predicts the same."""
    first = build(name, hidden, dropout=0.25)
    second = Decoder(**json.loads(json.dumps(first.config())))
    assert second.config() == first.config()
    second.load_state_dict(first.state_dict())
    z = torch.randn(4, 3)
    for a, b in zip(tensors(first.eval()(z)), tensors(second.eval()(z)), strict=True):
        assert torch.equal(a, b)


def test_configuration_is_made_of_plain_numbers() -> None:
    """NumPy's numbers and tuples become JSON's, and a caller's later changes do not reach the decoder."""
    options = {"output_dim": np.int64(7), "r_init": np.float32(2.0)}
    decoder = Decoder(3, (5,), ("relu",), "nb_feature_dispersion", options)
    options["output_dim"] = 9
    decoder.config()["activations"].append("tanh")
    assert json.loads(json.dumps(decoder.config())) == {
        "n_units_input_layer": 3,
        "n_units_hidden_layers": [5],
        "activations": ["relu"],
        "output_module_name": "nb_feature_dispersion",
        "output_module_options": {"output_dim": 7, "r_init": 2.0},
        "dropout": 0.0,
    }


BAD_ARGUMENTS = {
    "module": (
        {"output_module_name": "gamma"},
        "output_module_name must be one of 'nb_feature_dispersion', ",
    ),
    "activation": (
        {"activations": ["swish"]},
        r"activations\[0\] must be one of 'relu', 'elu', .*; got 'swish'",
    ),
    "too few activations": ({"activations": []}, "one name per hidden layer, 1; got 0"),
    "too many activations": ({"activations": ["relu", "relu"]}, "one name per hidden layer, 1; got 2"),
    "latent": ({"n_units_input_layer": 0}, "n_units_input_layer must be an integer of at least 1, got 0"),
    "width": ({"n_units_hidden_layers": [-5]}, r"n_units_hidden_layers\[0\] must be an integer .*, got -5"),
    "dropout 1": ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    "dropout negative": ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
    "dropout nan": ({"dropout": float("nan")}, "dropout must be at least 0 and below 1, got nan"),
    "dropout string": ({"dropout": "0.1"}, "dropout must be at least 0 and below 1, got '0.1'"),
    "dropout bool": ({"dropout": False}, "dropout must be at least 0 and below 1, got False"),
    "activation in a list": (
        {"output_module_options": {"output_dim": 7, "activation": ["softplus"]}},
        r"activation must be one of 'softplus', 'sigmoid'; got \['softplus'\]",
    ),
    "activations string": ({"activations": "relu"}, "activations must be a list .*, got 'relu'"),
    "activations none": ({"activations": None}, "activations must be a list .*, got None"),
    "widths number": ({"n_units_hidden_layers": 5}, "n_units_hidden_layers must be a list .*, got 5"),
    "options none": (
        {"output_module_options": None},
        "output_module_options must be a mapping of names to values, got None",
    ),
    "option unknown": (
        {"output_module_options": {"output_dim": 7, "r_init": 2.0}},
        r"output_module_options of 'poisson' may hold \['output_dim', 'activation'\]; unknown: \['r_init'\]",
    ),
    "option of the decoder": (
        {"output_module_options": {"output_dim": 7, "input_dim": 2}},
        r"unknown: \['input_dim'\]",
    ),
    "option missing": ({"output_module_options": {}}, r"missing: \['output_dim'\]"),
    "option's value": (
        {"output_module_options": {"output_dim": 0}},
        "output_dim must be an integer of at least 1",
    ),
}


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(("changes", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_are_refused_with_what_is_allowed(changes: dict, message: str) -> None:
    """Argument, value received, values allowed."""
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_feature_dispersion_needs_its_first_r() -> None:
    """`r_init` has no default on the reference page."""
    with pytest.raises(ValueError, match=r"missing: \['r_init'\]"):
        build("nb_feature_dispersion", output_module_options={"output_dim": 7})


@pytest.mark.usefixtures("untyped")
def test_positions_of_another_dimension_are_refused() -> None:
    """The latent dimension and the shape received are named."""
    with pytest.raises(ValueError, match=r"z must have a last dimension of 3, got shape \(4, 2\)"):
        build()(torch.ones(4, 2))
    with pytest.raises(ValueError, match=r"z must have a last dimension of 3, got shape \(\)"):
        build()(torch.tensor(1.0))


def test_reset_parameters_follows_its_generator_alone() -> None:
    """One seed, one decoder; within ±1/sqrt(n inputs); the global state is left alone."""
    decoders = [build("nb_full_dispersion", [64, 128]) for _ in range(2)]
    before = torch.get_rng_state()
    for decoder in decoders:
        decoder.reset_parameters(generator=torch.Generator().manual_seed(4))
    assert torch.equal(before, torch.get_rng_state())
    first, second = (decoder.state_dict() for decoder in decoders)
    assert all(torch.equal(first[name], second[name]) for name in first)
    weight = first["trunk.1.0.weight"]
    assert weight.abs().max() <= 1 / 8
    assert weight.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.03)


@each_module
@each_depth
def test_peer_state_round_trip(name: str, hidden: list[int]) -> None:
    """To bulkdgd's names and back; linear layers at even places, the output module under nb."""
    decoder = build(name, hidden)
    state = to_peer_state_dict(decoder)
    assert {key for key in state if key.endswith("weight") and key.startswith("main")} == {
        f"main.{2 * i}.weight" for i in range(len(hidden))
    }
    extra = {
        "nb_feature_dispersion": {"nb._log_r"},
        "nb_full_dispersion": {"nb._layer_r_values.weight", "nb._layer_r_values.bias"},
        "poisson": set(),
    }
    expected = {"nb._layer_means.weight", "nb._layer_means.bias", *extra[name]}
    assert {key for key in state if key.startswith("nb")} == expected
    back = from_peer_state_dict(decoder, state)
    own = decoder.state_dict()
    assert back.keys() == own.keys()
    assert all(torch.equal(back[key], own[key]) for key in own)


def test_peer_states_of_other_decoders_are_refused() -> None:
    """Missing and unexpected keys, and shapes, with the option to compare."""
    decoder = build("nb_feature_dispersion")
    with pytest.raises(
        ValueError, match=r"missing: \['nb._log_r'\], unexpected: \['nb._layer_r_values.bias', "
    ):
        from_peer_state_dict(decoder, to_peer_state_dict(build("nb_full_dispersion")))
    with pytest.raises(ValueError, match=r"1 hidden layers; missing: \[\], unexpected: \['main.2.bias'"):
        from_peer_state_dict(decoder, to_peer_state_dict(build("nb_feature_dispersion", [5, 9])))
    with pytest.raises(ValueError, match=r"main.0.weight must have shape \(5, 3\), got \(9, 3\)"):
        from_peer_state_dict(decoder, to_peer_state_dict(build("nb_feature_dispersion", [9])))
    with pytest.raises(ValueError, match=r"main.0.weight must have shape \(5, 3\), got \(4, 3\)"):
        from_peer_state_dict(decoder, to_peer_state_dict(build("nb_feature_dispersion", [4])))


def _numbers(path: Path) -> np.ndarray:
    table = pd.read_csv(path, index_col=0)
    return table.drop(columns="group", errors="ignore").to_numpy(np.float64)


@pytest.mark.parametrize("latent", ["lgmm", "tgmm"])
@each_module
def test_files_of_bulkdgd_predict_what_bulkdgd_predicts(shared: Path, name: str, latent: str) -> None:
    """Its checkpoint at its representations gives its means and r, within 1e-6 relative in float32."""
    folder = shared / "peer" / "artifacts" / f"{name}__{latent}"
    options = yaml.safe_load((folder / "config_model.yaml").read_text())["decoder_options"]
    options["output_module_options"]["output_dim"] = 1000
    decoder = Decoder(8, **options)
    state = torch.load(folder / "dec.pth", weights_only=True)
    decoder.load_state_dict(from_peer_state_dict(decoder, state))
    z = torch.tensor(_numbers(folder / "rep_two_opt.csv"), dtype=torch.float32)
    with torch.no_grad():
        outputs = decoder.eval()(z)
    means, log_r = decoder.output_module.means_of(outputs), decoder.output_module.log_r_of(outputs)
    np.testing.assert_allclose(means.numpy(), _numbers(folder / "pred_means_two_opt.csv"), rtol=1e-6)
    if log_r is not None:
        r = log_r.detach().exp().numpy()
        np.testing.assert_allclose(r, _numbers(folder / "pred_r_values_two_opt.csv"), rtol=1e-6)
