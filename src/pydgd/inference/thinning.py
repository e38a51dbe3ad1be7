# SPDX-License-Identifier: BSD-3-Clause
"""A model of some of the genes, which costs that much less to decode."""

import torch
from jaxtyping import Int
from torch import Tensor

from pydgd.core.decoder import Decoder
from pydgd.core.model import JointModel


def of_genes(model: JointModel, genes: Int[Tensor, " some"]) -> JointModel:
    """The same model of these genes alone; hidden layers and prior are shared, not copied.

    Args:
        model: Is not changed.
        genes: Positions in the model's list.
    """
    config = model.decoder.config()
    config["output_module_options"]["output_dim"] = len(genes)
    with torch.device("meta"):  # nothing is drawn, and no memory taken
        decoder = Decoder(**config)
    n_genes = model.decoder.n_genes
    state = {
        name: _taken(value, genes, n_genes) if name.startswith("output_module.") else value
        for name, value in model.decoder.state_dict().items()
    }
    decoder.load_state_dict(state, assign=True)
    decoder.train(model.training).requires_grad_(requires_grad=False)
    names = [model.genes[gene] for gene in genes.tolist()]
    return JointModel(names, decoder, model.prior, model.scaling, model.profile[genes])


def _taken(value: Tensor, genes: Tensor, n_genes: int) -> Tensor:
    """Genes are the first dimension, or the second of a row of one number per gene."""
    return value[:, genes] if value.shape == (1, n_genes) else value[genes]
