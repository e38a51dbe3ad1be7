# SPDX-License-Identifier: BSD-3-Clause
"""Files as bulkdgd 1 and 2 write them, made by the tests themselves."""

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

D, H, G, K = 3, (5, 7), 11, 2
GENES = [f"ENSG{i:011d}" for i in range(G)]
COVARIANCES = {
    "full": (K, D, D),
    "tied_full": (D, D),
    "diag": (K, D),
    "spherical": (K,),
    "tied_diag": (D,),
    "tied_spherical": (),
}
COLUMNS = {"fixed": 1, "isotropic": 1, "diagonal": D}


def decoder_state(module: str = "nb_feature_dispersion", seed: int = 0) -> dict[str, Tensor]:
    """What dec.pth holds."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / 3

    state = {
        "main.0.weight": draw(H[0], D),
        "main.0.bias": draw(H[0]),
        "main.2.weight": draw(H[1], H[0]),
        "main.2.bias": draw(H[1]),
        "nb._layer_means.weight": draw(G, H[1]),
        "nb._layer_means.bias": draw(G),
    }
    if module == "nb_feature_dispersion":
        state["nb._log_r"] = draw(1, G)
    if module == "nb_full_dispersion":
        state["nb._layer_r_values.weight"] = draw(G, H[1])
        state["nb._layer_r_values.bias"] = draw(G)
    return state


def mixture_state(kind: str, covariance_type: str) -> dict[str, Any]:
    """What gmm.pth holds."""
    means = torch.randn(K, D, generator=torch.Generator().manual_seed(1))
    if kind == "lgmm":
        return {
            "_means": means,
            "_weights": torch.tensor([1.0, 0.5]),
            "_log_var": torch.full((K, COLUMNS[covariance_type]), -1.0),
        }
    shape = COVARIANCES[covariance_type]
    unit = torch.eye(D) if covariance_type.endswith("full") else torch.tensor(1.0)
    return {
        "weights_": torch.tensor([0.25, 0.75]),
        "means_": means,
        "covariances_": (0.5 * unit).expand(shape).clone(),
        "covariance_type": covariance_type,
        "n_components": K,
        "n_features": D,
    }


def config(release: int, module: str, kind: str, covariance_type: str) -> dict[str, Any]:
    """What the YAML of that release says."""
    output = {"activation": "softplus"} | ({"r_init": 2} if module == "nb_feature_dispersion" else {})
    decoder = {
        "n_units_hidden_layers": list(H),
        "activations": ["relu", "elu"],
        "output_module_name": module,
        "output_module_options": output,
    }
    if release == 1:
        return {
            "input_dim": D,
            "gmm_options": {"n_comp": K, "cm_type": covariance_type},
            "dec_options": decoder,
            "genes_txt_file": "genes.txt",
            "gmm_pth_file": "gmm.pth",
            "dec_pth_file": "dec.pth",
        }
    return {
        "genes_txt_file": "genes.txt",
        "latent_dim": D,
        "latent_type": kind,
        "latent_options": {
            "n_components": K,
            "covariance_type": covariance_type,
            "latent_pth_file": "gmm.pth",
            "log_var_prior_options": {"mean": 0.2, "stddev": 1.5},
        },
        "decoder_options": {**decoder, "dropout": 0.1, "decoder_pth_file": "dec.pth"},
    }


def write_peer_model(
    folder: Path,
    *,
    release: int = 2,
    module: str = "nb_feature_dispersion",
    kind: str = "tgmm",
    covariance_type: str | None = None,
) -> Path:
    """A whole model in a folder."""
    covariance_type = covariance_type or ("tied_spherical" if kind == "tgmm" else "diagonal")
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(decoder_state(module), folder / "dec.pth")
    torch.save(mixture_state(kind, covariance_type), folder / "gmm.pth")
    (folder / "genes.txt").write_text("# genes\n\n" + "\n".join(GENES) + "\n")
    (folder / "model.yaml").write_text(yaml.safe_dump(config(release, module, kind, covariance_type)))
    return folder
