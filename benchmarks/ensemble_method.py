# SPDX-License-Identifier: BSD-3-Clause
"""Several models as one method of the N-of-one benchmark; the environment names their files."""

import os

import numpy as np

import pydgd


def fit(train, seed=0):  # noqa: ARG001  # the benchmark's signature
    """The models are trained already; returns a function from counts to log p-values and directions."""
    models = [pydgd.DGD.load(path) for path in os.environ["N_OF_ONE_ENSEMBLE"].split(os.pathsep)]

    def call(query):
        tables = [pydgd.differential_expression(query, model.closest_normal(query)) for model in models]
        table = pydgd.tl.combined(tables)
        shape = (query.n_obs, len(models[0].genes))
        log_p, direction = np.zeros(query.shape), np.zeros(query.shape)
        columns = query.var_names.get_indexer(list(models[0].genes))
        log_p[:, columns] = table["log_pvalue"].to_numpy().reshape(shape)
        direction[:, columns] = table["direction"].to_numpy().reshape(shape)
        return log_p, direction

    return call
