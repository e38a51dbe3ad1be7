# SPDX-License-Identifier: BSD-3-Clause
"""Models as files of bulkdgd: what comes back is what went out; what it cannot represent is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from pydgd.checkpoints import ModelRecord, read_bulkdgd, write_bulkdgd
from pydgd.core.latent.peer import TGMM_COVARIANCE_TYPES
from pydgd.errors import ConfigError, OutputError

from .peer_files import COLUMNS, COVARIANCES, write_peer_model


@pytest.mark.parametrize("kind", [*COVARIANCES, *COLUMNS])
@pytest.mark.parametrize("module", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_a_model_survives_the_way_there_and_back(module: str, kind: str, tmp_path: Path) -> None:
    """Every tensor to the bit, apart from a mixture of EM, which is float32 there."""
    source = "tgmm" if kind in COVARIANCES else "lgmm"
    write_peer_model(tmp_path / "in", module=module, kind=source, covariance_type=kind)
    record = read_bulkdgd(tmp_path / "in")
    names = [path.name for path in write_bulkdgd(record, tmp_path / "out")]
    assert names == ["dec.pth", "gmm.pth", "genes.txt", "model.yaml"]
    back = read_bulkdgd(tmp_path / "out")
    assert back.model.genes == record.model.genes
    assert back.model.prior.config() == record.model.prior.config()
    assert back.model.decoder.config() == record.model.decoder.config()
    for name, tensor in record.model.state_dict().items():
        torch.testing.assert_close(back.model.state_dict()[name], tensor, rtol=1e-6, atol=1e-7)


def test_a_model_of_release_1_goes_back_there(tmp_path: Path) -> None:
    """In its own words: input_dim, gmm_options, dec_options."""
    write_peer_model(tmp_path / "in", release=1, module="nb_full_dispersion", kind="lgmm")
    record = read_bulkdgd(tmp_path / "in")
    write_bulkdgd(record, tmp_path / "out", release=1)
    values = yaml.safe_load((tmp_path / "out" / "model.yaml").read_text())
    assert values["gmm_options"]["cm_type"] == "diagonal"
    assert (values["input_dim"], values["dec_pth_file"]) == (3, "dec.pth")
    back = read_bulkdgd(tmp_path / "out")
    assert back.model.decoder.config() == record.model.decoder.config()
    with pytest.raises(
        ConfigError, match="bulkdgd 2 cannot represent this model: its ln r goes through the act"
    ):
        write_bulkdgd(record, tmp_path / "out", release=2)


def test_training_samples_go_along(record: Callable[..., ModelRecord], tmp_path: Path) -> None:
    """Names, positions and labels; genes without Ensembl ids are warned of."""
    made = record(widths=(4,))
    made.model.scaling = "mean"
    write_bulkdgd(made, tmp_path)
    back = read_bulkdgd(tmp_path, representations=tmp_path / "representations_train.csv")
    assert back.sample_names == made.sample_names
    assert back.labels == made.labels
    assert torch.equal(back.representations, made.representations)


@pytest.mark.parametrize("covariance_type", TGMM_COVARIANCE_TYPES.values())
def test_a_mixture_of_ours_is_a_whole_state(
    record: Callable[..., ModelRecord], covariance_type: str, tmp_path: Path
) -> None:
    """bulkdgd 2.0.1 refuses one without its settings (tested there: max_iter and more)."""
    made = record(widths=(4,), covariance_type=covariance_type)
    made.model.scaling = "mean"
    write_bulkdgd(made, tmp_path)
    state = torch.load(tmp_path / "gmm.pth", weights_only=True)
    assert {"max_iter", "initial_means_", "fitted_", "init_means", "lower_bound_"} <= state.keys()
    assert state["initial_covariances_"].shape == state["covariances_"].shape


def test_what_it_cannot_represent_is_refused(record: Callable[..., ModelRecord], tmp_path: Path) -> None:
    """With all reasons, before anything is written."""
    with pytest.raises(ConfigError, match=r"rule 'total'.*has no hidden layer"):
        write_bulkdgd(record(), tmp_path / "out")
    made = record("nb_full_dispersion", widths=(4,))
    made.model.scaling = "mean"
    with pytest.raises(
        ConfigError, match="expectation-maximisation came with release 2; its ln r goes through no"
    ):
        write_bulkdgd(made, tmp_path / "out", release=1)
    with pytest.raises(ConfigError, match="release must be 1 or 2, got 3"):
        write_bulkdgd(made, tmp_path / "out", release=3)
    assert not (tmp_path / "out").exists()


def test_genes_that_it_would_not_see_are_warned_of(
    record: Callable[..., ModelRecord], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes columns for genes by their prefix."""
    made = record(widths=(4,))
    made.model.scaling, made.model.genes = "mean", ("TP53", *made.model.genes[1:])
    write_bulkdgd(made, tmp_path)
    assert "1 of 6 genes have no human Ensembl id (first: 'TP53')" in caplog.text


def test_a_file_in_the_folder_s_place_is_an_error(record: Callable[..., ModelRecord], tmp_path: Path) -> None:
    """And stays as it is."""
    made = record(widths=(4,))
    made.model.scaling = "mean"
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="cannot make the folder"):
        write_bulkdgd(made, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
