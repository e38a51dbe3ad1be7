"""PyDGD as the N-of-one benchmark wants it: `n_of_one.py benchmarks/n_of_one_method.py`."""

import os

import numpy as np

import pydgd


def fit(train, seed=0):
    """Train on healthy samples; returns a function from counts to log p-values and directions.

    The environment may name a file to keep the model in, and a number of epochs for trials.
    """
    options = {"epochs": int(os.environ["N_OF_ONE_EPOCHS"])} if "N_OF_ONE_EPOCHS" in os.environ else {}
    model = pydgd.DGD.fit(train, seed=seed, **options)
    if "N_OF_ONE_MODEL" in os.environ:
        model.save(os.environ["N_OF_ONE_MODEL"])

    def call(query):
        normal = model.closest_normal(query)
        table = pydgd.differential_expression(query, normal)
        shape = (query.n_obs, len(model.genes))
        log_p = np.zeros(query.shape)
        direction = np.zeros(query.shape)
        columns = query.var_names.get_indexer(list(model.genes))
        log_p[:, columns] = table["log_pvalue"].to_numpy().reshape(shape)
        direction[:, columns] = table["direction"].to_numpy().reshape(shape)
        return log_p, direction

    return call
