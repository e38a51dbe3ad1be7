# SPDX-License-Identifier: BSD-3-Clause
"""Models of bulkdgd become ours: the same numbers as its own outputs; what does not fit is refused."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from pydgd.checkpoints import ModelRecord, load_model, read_bulkdgd, save_model
from pydgd.errors import ConfigError, FileFormatError, ModelFileError

from .peer_files import COLUMNS, COVARIANCES, GENES, D, G, K, config, decoder_state, write_peer_model

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]


@pytest.fixture(params=[f"{module}__{kind}" for module in MODULES for kind in ("lgmm", "tgmm")])
def combination(request: pytest.FixtureRequest, shared: Path) -> Path:
    """A model that bulkdgd 2.0.1 trained, with what it gave for 30 held-out samples."""
    return shared / "peer" / "artifacts" / request.param


@pytest.fixture
def imported(combination: Path, tmp_path: Path) -> ModelRecord:
    """The same model, imported, saved and loaded."""
    record = read_bulkdgd(
        combination,
        genes=combination.parent / "genes.txt",
        representations=combination / "train_rep_train.csv",
        label_key="group",
    )
    save_model(record, tmp_path / "model.dgd")
    return load_model(tmp_path / "model.dgd")


def positions(path: Path) -> torch.Tensor:
    return torch.tensor(pd.read_csv(path, index_col=0).iloc[:, :8].to_numpy())


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found / expected - 1).max())


@pytest.mark.parametrize("scheme", ["one_opt", "two_opt"])
def test_decoder_outputs_are_the_peer_s(combination: Path, imported: ModelRecord, scheme: str) -> None:
    """Means and r of 30 samples × 1,000 genes within 1e-6 of its CSVs, in float32; log-masses too."""
    z = positions(combination / f"rep_{scheme}.csv").float()
    decoder = imported.model.decoder
    with torch.no_grad():
        outputs = decoder(z)
        log_r = decoder.output_module.log_r_of(outputs)
    means = pd.read_csv(combination / f"pred_means_{scheme}.csv", index_col=0)[list(imported.model.genes)]
    assert relative(decoder.output_module.means_of(outputs).double().numpy(), means.to_numpy()) < 1e-6
    if log_r is not None:
        stored = pd.read_csv(combination / f"pred_r_values_{scheme}.csv", index_col=0)[list(means.columns)]
        assert relative(log_r.detach().exp().double().numpy(), stored.to_numpy()) < 1e-6
    losses = pd.read_csv(combination / f"losses_{scheme}.csv", index_col=0)
    table = pd.read_csv(combination.parent / "counts.csv", index_col=0)
    counts = torch.tensor(table.loc[losses.index, means.columns].to_numpy(), dtype=torch.float32)
    with torch.no_grad():
        nll = decoder.output_module.nll(counts, outputs, counts.mean(dim=1)).double().numpy()
    assert relative(nll, losses["recon_nll"].to_numpy()) < 1e-6


@pytest.mark.parametrize("scheme", ["one_opt", "two_opt"])
def test_mixture_densities_are_the_peer_s(combination: Path, imported: ModelRecord, scheme: str) -> None:
    """ln p(z) within 1e-5 nats, also with the hyperprior's share that lgmm adds to its loss."""
    z = positions(combination / f"rep_{scheme}.csv")
    prior = imported.model.prior
    stored = pd.read_csv(combination / f"latent_log_prob_comp_{scheme}.csv", index_col=0).to_numpy()
    losses = pd.read_csv(combination / f"losses_{scheme}.csv", index_col=0)["latent_loss"].to_numpy()
    with torch.no_grad():
        joint, density = prior.component_log_prob(z).numpy(), prior.log_prob(z).numpy()
        share = prior.log_hyperprior().item() / len(z)
    np.testing.assert_allclose(density, np.logaddexp.reduce(stored, axis=1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(-density - share, losses, rtol=0, atol=1e-5)
    # tgmm adds 1e-20 to responsibilities: further down its numbers are about that.
    told = stored - stored.max(axis=1, keepdims=True) > -40
    np.testing.assert_allclose(joint[told], stored[told], rtol=3e-7, atol=1e-5)


def test_responsibilities_and_joint_densities_are_the_peer_s(
    combination: Path, imported: ModelRecord
) -> None:
    """What it calls probability density: responsibilities of a tgmm, joint densities of an lgmm."""
    z = positions(combination / "rep_two_opt.csv")
    stored = pd.read_csv(combination / "probdens_rep.csv", index_col=0).iloc[:, :5].to_numpy()
    prior = imported.model.prior
    with torch.no_grad():
        found = prior.responsibilities(z) if prior.name == "em" else prior.component_log_prob(z).exp()
    np.testing.assert_allclose(found.numpy(), stored, rtol=1e-5, atol=1e-30)


def test_what_is_known_of_the_training_is_kept(combination: Path, imported: ModelRecord) -> None:
    """Positions and labels of the training samples, rule of scaling, where it comes from."""
    np.testing.assert_array_equal(
        imported.representations, positions(combination / "train_rep_train.csv").float()
    )
    assert (len(imported.sample_names), set(imported.labels or ())) == (170, {"g0", "g1", "g2", "g3", "g4"})
    assert imported.model.scaling == "mean"
    assert imported.provenance["imported_from"] == "bulkdgd 2"
    assert imported.calibration is imported.reference is None
    assert imported.model.profile.mean() == pytest.approx(1)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
@pytest.mark.parametrize("module", MODULES)
def test_every_tgmm_model_is_read(module: str, covariance_type: str, tmp_path: Path) -> None:
    """Parameters are the file's, to the bit."""
    write_peer_model(tmp_path, module=module, covariance_type=covariance_type)
    record = read_bulkdgd(tmp_path)
    assert (record.model.genes, record.model.prior.name) == (tuple(GENES), "em")
    state, own = decoder_state(module), record.model.decoder.state_dict()
    assert torch.equal(own["output_module.layer_means.weight"], state["nb._layer_means.weight"])
    assert record.model.prior.covariances().shape == (K, D, D)
    assert record.model.decoder.config()["dropout"] == 0.1


@pytest.mark.parametrize("release", [1, 2])
@pytest.mark.parametrize("covariance_type", COLUMNS)
def test_every_lgmm_model_is_read(release: int, covariance_type: str, tmp_path: Path) -> None:
    """Also the hyperpriors that release 2's YAML holds."""
    write_peer_model(tmp_path, release=release, kind="lgmm", covariance_type=covariance_type)
    prior = read_bulkdgd(tmp_path).model.prior.config()
    assert prior["covariance_type"] == covariance_type
    assert (prior["component_sd"], prior["log_var_spread"]) == ((0.1, 1.0) if release == 1 else (0.2, 1.5))


@pytest.mark.parametrize("release", [1, 2])
def test_release_1_sends_log_r_through_the_activation(release: int, tmp_path: Path) -> None:
    """The same dec.pth means another r: softplus keeps its logarithm above 0."""
    write_peer_model(tmp_path, release=release, module="nb_full_dispersion", kind="lgmm")
    decoder = read_bulkdgd(tmp_path).model.decoder
    state = decoder_state("nb_full_dispersion")
    z = torch.randn(4, D, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        hidden = torch.relu(z @ state["main.0.weight"].T + state["main.0.bias"])
        hidden = torch.nn.functional.elu(hidden @ state["main.2.weight"].T + state["main.2.bias"])
        linear = hidden @ state["nb._layer_r_values.weight"].T + state["nb._layer_r_values.bias"]
        _, log_r = decoder(z)
    expected = torch.nn.functional.softplus(linear) if release == 1 else linear
    torch.testing.assert_close(log_r, expected)
    assert (log_r > 0).all() == (release == 1)


def test_the_release_can_be_told(tmp_path: Path) -> None:
    """A file of release 1 whose YAML was rewritten in the words of release 2."""
    write_peer_model(tmp_path, module="nb_full_dispersion", kind="lgmm")
    options = read_bulkdgd(tmp_path, release=1).model.decoder.config()["output_module_options"]
    assert options["log_r_activation"] == "same"
    with pytest.raises(ConfigError, match="release must be 1 or 2, got 3"):
        read_bulkdgd(tmp_path, release=3)


def test_files_are_found_by_name_beside_the_yaml(tmp_path: Path) -> None:
    """Release 2's default names, where the YAML names none."""
    write_peer_model(tmp_path)
    values = yaml.safe_load((tmp_path / "model.yaml").read_text())
    del values["latent_options"]["latent_pth_file"], values["decoder_options"]["decoder_pth_file"]
    values["genes_txt_file"] = "default"
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "gmm.pth").rename(tmp_path / "latent.pth")
    (tmp_path / "dec.pth").rename(tmp_path / "decoder.pth")
    assert read_bulkdgd(tmp_path / "model.yaml").model.decoder.n_genes == G


def edited(**changes: object) -> Callable[[Path], None]:
    """Change top-level values of the YAML."""

    def edit(folder: Path) -> None:
        path = folder / "model.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))

    return edit


def state_edited(name: str, **changes: object) -> Callable[[Path], None]:
    """Change tensors of a state; None removes one."""

    def edit(folder: Path) -> None:
        state = {
            **torch.load(folder / name, weights_only=True),
            **{k.replace("__", "."): v for k, v in changes.items()},
        }
        torch.save({key: value for key, value in state.items() if value is not None}, folder / name)

    return edit


def text(name: str, content: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_text(content)

    return edit


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


class Harm:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("__import__('pathlib').Path('harm').touch()",)


def pickled(name: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes(pickle.dumps({"_means": Harm()}))

    return edit


def torch_pickled(name: str) -> Callable[[Path], None]:
    return lambda folder: torch.save({"main.0.weight": Harm()}, folder / name)


def truncated(name: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-200])

    return edit


def huge(folder: Path) -> None:
    """A terabyte of one number: a stride of 0."""
    state = torch.load(folder / "dec.pth", weights_only=True)
    state["nb._layer_means.weight"] = torch.zeros(1).expand(G, 10**11)
    torch.save(state, folder / "dec.pth")


NAN = torch.full((1, G), float("nan"))
DAMAGES = {
    "genes_fewer": (text("genes.txt", "\n".join(GENES[:-1])), "predicts 11 genes, but .*genes.txt lists 10"),
    "genes_twice": (text("genes.txt", "A\nB\nA\n"), "1 of 3 genes are repeats \\(first: 'A'\\)"),
    "genes_none": (text("genes.txt", "# none\n\n"), "genes.txt holds no gene"),
    "genes_missing": (removed("genes.txt"), "genes.txt does not exist"),
    "dec_missing": (removed("dec.pth"), "dec.pth does not exist"),
    "dec_truncated": (truncated("dec.pth"), "dec.pth is damaged"),
    "gmm_truncated": (truncated("gmm.pth"), "gmm.pth is damaged"),
    "dec_empty": (text("dec.pth", ""), "dec.pth is damaged"),
    "dec_pickle": (pickled("dec.pth"), "dec.pth is damaged, or holds more than tensors"),
    "gmm_pickle": (pickled("gmm.pth"), "gmm.pth is damaged, or holds more than tensors"),
    "dec_hostile": (torch_pickled("dec.pth"), "dec.pth is damaged, or holds more than tensors"),
    "dec_list": (lambda folder: torch.save([1], folder / "dec.pth"), "dec.pth holds list"),
    "dec_huge": (huge, "claims 1,100,000,000,000 numbers, more than are there"),
    "dec_is_gmm": (
        lambda folder: (folder / "dec.pth").write_bytes((folder / "gmm.pth").read_bytes()),
        "covariance_type must be a tensor",
    ),
    "gmm_is_dec": (
        lambda folder: (folder / "gmm.pth").write_bytes((folder / "dec.pth").read_bytes()),
        "gmm.pth does not fit .*the tgmm state lacks weights_",
    ),
    "dec_nan": (state_edited("dec.pth", nb___log_r=NAN), "_log_r has values that are not finite"),
    "dec_lacks": (state_edited("dec.pth", nb___log_r=None), "missing: \\['nb._log_r'\\]"),
    "dec_shape": (state_edited("dec.pth", main__0__bias=torch.zeros(4)), "0.bias must have shape \\(5,\\)"),
    "other_module": (
        edited(decoder_options=config(2, "poisson", "tgmm", "full")["decoder_options"]),
        "unexpected: \\['nb._log_r'\\]",
    ),
    "other_dim": (edited(latent_dim=4), "main.0.weight must have shape \\(5, 4\\), got \\(5, 3\\)"),
    "other_kind": (edited(latent_type="lgmm"), "latent_type lgmm, but .*holds a mixture of the kind tgmm"),
    "other_k": (edited(latent_options={"n_components": 3}), "has n_components 2, but .*model.yaml says 3"),
    "other_type": (edited(latent_options={"covariance_type": "full"}), "'tied_spherical' in one and 'full'"),
    "weights": (state_edited("gmm.pth", weights_=torch.tensor([0.2, 0.2])), "weights must be >= 0"),
    "median": (edited(scaling_factor="median"), "scaling_factor: input should be 'mean', got 'median'"),
    "new_module": (
        edited(decoder_options={"output_module_name": "nb_full_dispersion_tied"}),
        "output_module_name: input should be .*got 'nb_full_dispersion_tied'",
    ),
    "both": (edited(dec_options={}), "has keys of both releases"),
    "yaml_other": (text("model.yaml", "a: 1"), "has none of the keys dec_options and decoder_options"),
    "yaml_list": (text("model.yaml", "- 1"), "holds list instead of names and values"),
    "yaml_bad": (text("model.yaml", "a: [1"), "is not YAML"),
    "yaml_date": (text("model.yaml", "a: 2020-13-45"), "is not YAML"),
    "yaml_code": (text("model.yaml", "a: !!python/object/apply:os.getcwd []"), "is not YAML"),
    "yaml_deep": (text("model.yaml", "[" * 100_000), "is not YAML"),
    "yaml_large": (text("model.yaml", "#" * 1_000_001), "has 1,000,001 bytes"),
    "packaged": (edited(genes_txt_file="missing/genes.txt"), "genes.txt does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_does_not_fit_is_refused(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error that names the file; nothing is executed, nothing of a claimed size is built."""
    write_peer_model(tmp_path)
    monkeypatch.chdir(tmp_path)
    damaging, message = DAMAGES[damage]
    damaging(tmp_path)
    with pytest.raises(ModelFileError, match=re.compile(message, re.DOTALL)) as caught:
        read_bulkdgd(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_other_training_samples_are_refused(tmp_path: Path) -> None:
    """Representations of another number of dimensions, another table, an unknown label."""
    write_peer_model(tmp_path)
    table = tmp_path / "representations_train.csv"
    table.write_text(",latent_dim_1,latent_dim_2,group\nS1,0,1,a\n")
    with pytest.raises(ModelFileError, match="must have the columns latent_dim_1 to latent_dim_3"):
        read_bulkdgd(tmp_path, representations=table)
    table.write_text(",latent_dim_1,latent_dim_2,latent_dim_3,group\nS1,0,1,2,a\nS2,0,1,2,\n")
    with pytest.raises(ConfigError, match=r"label_key 'tissue' is not a column of .*; there are group"):
        read_bulkdgd(tmp_path, representations=table, label_key="tissue")
    assert read_bulkdgd(tmp_path, representations=table, label_key="group").labels == ("a", "unknown")
    assert read_bulkdgd(tmp_path, representations=table).labels is None
    with pytest.raises(FileFormatError, match="no such file"):
        read_bulkdgd(tmp_path, representations=tmp_path / "nowhere.csv")


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    """And so is a path at which there is nothing, and a part that is nowhere."""
    with pytest.raises(ModelFileError, match=r"has no config_model.yaml or model.yaml"):
        read_bulkdgd(tmp_path)
    with pytest.raises(ModelFileError, match="does not exist; expected a model's configuration"):
        read_bulkdgd(tmp_path / "model.yaml")
    write_peer_model(tmp_path)
    edited(genes_txt_file="default")(tmp_path)
    (tmp_path / "genes.txt").unlink()
    with pytest.raises(
        ModelFileError, match=r"names the packaged genes file, and genes.txt is not beside it"
    ):
        read_bulkdgd(tmp_path)
