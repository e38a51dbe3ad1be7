# SPDX-License-Identifier: BSD-3-Clause
"""A model as files that bulkdgd 1 or 2 reads, where it can represent the model."""

import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import yaml
from anndata import AnnData

from pydgd.checkpoints.bulkdgd_config import RELEASES
from pydgd.checkpoints.bulkdgd_tables import write_bulkdgd_table
from pydgd.checkpoints.record import ModelRecord
from pydgd.core.decoder import to_peer_state_dict
from pydgd.core.latent import prior_to_peer
from pydgd.errors import ConfigError, OutputError
from pydgd.files import atomic_write

_log = logging.getLogger(__name__)

_ACTIVATIONS = ("relu", "elu")


def write_bulkdgd(record: ModelRecord, folder: str | PathLike[str], *, release: int = 2) -> list[Path]:
    """Write ``model.yaml``, ``dec.pth``, ``gmm.pth`` and ``genes.txt``, with ``representations_train.csv``.

    The calibration and the references of a fit have no place there.

    Args:
        record: The model.
        folder: Made if it is not there; files of these names are replaced.
        release: 1 or 2 of bulkdgd.

    Returns:
        The files.

    Raises:
        ConfigError: If that release cannot represent the model; names every reason.
        OutputError: If a file cannot be written.
    """
    if release not in RELEASES:
        raise ConfigError(f"release must be 1 or 2, got {release!r}")
    reasons = _obstacles(record, release)
    if reasons:
        raise ConfigError(f"bulkdgd {release} cannot represent this model: {'; '.join(reasons)}")
    genes = record.model.genes
    strangers = [name for name in genes if not name.startswith("ENSG")]
    if strangers:
        _log.warning(
            "%d of %d genes have no human Ensembl id (first: %r); bulkdgd takes only ENSG... for genes",
            len(strangers),
            len(genes),
            strangers[0],
        )
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {place}: {error.strerror or error}") from error
    return _write(record, place, release)


def _write(record: ModelRecord, folder: Path, release: int) -> list[Path]:
    decoder, prior = record.model.decoder, record.model.prior
    config = yaml.safe_dump(_CONFIGS[release](record), sort_keys=False)
    contents: dict[str, Callable[[Path], object]] = {
        "dec.pth": lambda path: _save(to_peer_state_dict(decoder), path),
        "gmm.pth": lambda path: _save(prior_to_peer(prior), path),
        "genes.txt": lambda path: path.write_text(
            "".join(f"{name}\n" for name in record.model.genes), "utf-8"
        ),
        "model.yaml": lambda path: path.write_text(config, "utf-8"),
    }
    for name, write in contents.items():
        with atomic_write(folder / name) as temporary:
            write(temporary)
    written = [folder / name for name in contents]
    if record.sample_names:
        written.append(folder / "representations_train.csv")
        table = AnnData(obsm={"X_dgd": record.representations.numpy()})
        table.obs_names = list(record.sample_names)
        if record.labels is not None:
            table.obs["tissue"] = list(record.labels)
        write_bulkdgd_table(table, written[-1], kind="representations")
    return written


def _save(state: dict[str, Any], path: Path) -> None:
    plain = {
        name: value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value
        for name, value in state.items()
    }
    torch.save(plain, path)


def _obstacles(record: ModelRecord, release: int) -> list[str]:
    model, config = record.model, record.model.decoder.config()
    other = sorted(set(config["activations"]) - set(_ACTIVATIONS))
    log_r = config["output_module_options"].get("log_r_activation", "linear")
    full = config["output_module_name"] == "nb_full_dispersion"
    found = {
        f"its scaling factors follow the rule {model.scaling!r}, there they are mean counts "
        "(train with scaling='mean')": model.scaling != "mean",
        f"activations {', '.join(other)} (there are {' and '.join(_ACTIVATIONS)})": bool(other),
        "its decoder has no hidden layer": not config["n_units_hidden_layers"],
        "a mixture fitted by expectation-maximisation came with release 2": release == 1
        and model.prior.name == "em",
        "its ln r goes through no activation, as in release 2": release == 1 and full and log_r == "linear",
        "its ln r goes through the activation of the means, as in release 1": release == 2
        and log_r == "same",
    }
    return [reason for reason, holds in found.items() if holds]


def _config_2(record: ModelRecord) -> dict[str, Any]:
    model, decoder = record.model, record.model.decoder.config()
    kind = "tgmm" if model.prior.name == "em" else "lgmm"
    latent = _lgmm_options(record) if kind == "lgmm" else _tgmm_options(record)
    return {
        "genes_txt_file": "genes.txt",
        "latent_dim": model.decoder.latent_dim,
        "latent_type": kind,
        "latent_options": {**latent, "latent_pth_file": "gmm.pth"},
        "decoder_options": {
            **_decoder_options(record),
            "dropout": decoder["dropout"],
            "decoder_pth_file": "dec.pth",
        },
    }


def _config_1(record: ModelRecord) -> dict[str, Any]:
    options = _lgmm_options(record)
    renamed = {"n_comp": options.pop("n_components"), "cm_type": options.pop("covariance_type")}
    return {
        "input_dim": record.model.decoder.latent_dim,
        "gmm_options": {**renamed, **options},
        "dec_options": _decoder_options(record),
        "genes_txt_file": "genes.txt",
        "gmm_pth_file": "gmm.pth",
        "dec_pth_file": "dec.pth",
    }


_CONFIGS = {1: _config_1, 2: _config_2}


def _decoder_options(record: ModelRecord) -> dict[str, Any]:
    config = record.model.decoder.config()
    given = config["output_module_options"]
    return {
        "n_units_hidden_layers": config["n_units_hidden_layers"],
        "activations": config["activations"],
        "output_module_name": config["output_module_name"],
        "output_module_options": {
            "activation": given.get("activation", "softplus"),
            **({"r_init": given["r_init"]} if "r_init" in given else {}),
        },
    }


def _lgmm_options(record: ModelRecord) -> dict[str, Any]:
    config = record.model.prior.config()
    return {
        "n_components": config["n_components"],
        "covariance_type": config["covariance_type"],
        "means_prior_name": "softball",
        "means_prior_options": {
            "radius": config["softball_radius"],
            "sharpness": config["softball_sharpness"],
        },
        "weights_prior_name": "dirichlet",
        "weights_prior_options": {"alpha": config["dirichlet_alpha"]},
        "log_var_prior_name": "gaussian",
        "log_var_prior_options": {"mean": config["component_sd"], "stddev": config["log_var_spread"]},
    }


def _tgmm_options(record: ModelRecord) -> dict[str, Any]:
    config, state = record.model.prior.config(), prior_to_peer(record.model.prior)
    return {
        "n_components": config["n_components"],
        "covariance_type": state["covariance_type"],
        "init_means": "maxdist",
        "init_weights": "uniform",
        "init_covariances": "empirical",
        "tol": config["tol"],
        "reg_covar": config["reg_covar"],
        "n_init": 1,
        "random_state": None,
        "cem": False,
    }
