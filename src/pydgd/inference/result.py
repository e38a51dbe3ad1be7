# SPDX-License-Identifier: BSD-3-Clause
"""A query's closest normal, with the names of its samples and genes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Bool, Float, Int

from pydgd.data import as_counts
from pydgd.errors import NamesError
from pydgd.stats.calibrated import NullModel
from pydgd.words import plural


@dataclass(frozen=True, eq=False)
class ClosestNormal:
    """What each query sample would look like if it were healthy.

    Attributes:
        sample_names: Of the query, in its order.
        genes: Of the model, in its order.
        measured: Which of the model's genes the query has, (G,).
        representations: Positions z, (N, D).
        means: Expected reads mu = s · m of every model gene, measured or not, (N, G).
        r: Inverse dispersion of healthy samples, (G,) or (N, G); None for a Poisson model.
        scaling_factors: s, (N,).
        component: Most probable component of the mixture, (N,).
        fit: One row per sample: how well and how surely it was found.
        provenance: Model hash, versions and options.
        departure: Log variance by which each sample departs in every gene, (N,); None if that was not asked.
        log_mean_variance: Variance of ln mu, (N, G); None if that was not asked.
        null: How residuals of healthy samples are distributed, for the test; None if it is not known.
        most_probable: Most probable positions, (N, D), where `representations` are others; else None.
    """

    sample_names: tuple[str, ...]
    genes: tuple[str, ...]
    measured: Bool[np.ndarray, " genes"]
    representations: Float[np.ndarray, "n latent"]
    means: Float[np.ndarray, "n genes"]
    r: Float[np.ndarray, "..."] | None
    scaling_factors: Float[np.ndarray, " n"]
    component: Int[np.ndarray, " n"]
    fit: pd.DataFrame
    provenance: dict[str, Any]
    departure: Float[np.ndarray, " n"] | None = None
    log_mean_variance: Float[np.ndarray, "n genes"] | None = None
    null: NullModel | None = None
    most_probable: Float[np.ndarray, "n latent"] | None = None

    def dispersions(self, row: int) -> Float[np.ndarray, " genes"]:
        """Inverse dispersion of every gene of one sample; inf for Poisson.

        Args:
            row: The sample's.
        """
        if self.r is None:
            return np.full(len(self.genes), np.inf)
        return self.r if self.r.ndim == 1 else self.r[row]

    def to_anndata(self, query: AnnData | pd.DataFrame, *, means: bool = True) -> AnnData:
        """The query with its closest normal beside the counts.

        Args:
            query: The counts that were asked about, AnnData or a DataFrame of samples × genes; not changed.
            means: Whether to put in what is as large as the counts: the layers with expected reads and, if it
                differs between samples, r.

        Returns:
            Samples and genes in the query's order, sharing the query's X, with ``obsm["X_dgd"]`` (and
            ``obsm["X_dgd_map"]`` if the most probable positions are others),
            ``layers["dgd_mean"]`` (expected reads), ``var["dgd_r"]`` or ``layers["dgd_r"]``,
            ``var["dgd_in_model"]``, the fit in `obs` and ``uns["dgd"]``. Genes that the model does not know
            have NaN.

        Raises:
            CountsError: If a DataFrame does not hold counts.
            NamesError: If the query has other samples.
        """
        query = as_counts(query) if isinstance(query, pd.DataFrame) else query
        rows = self.rows_of(query.obs_names)
        columns = pd.Index(self.genes).get_indexer(query.var_names)
        fit = self.fit.iloc[rows]
        old = [name for name in fit.columns if name in query.obs]
        result = AnnData(
            X=query.X,
            obs=pd.concat([query.obs.drop(columns=old), fit.set_axis(query.obs_names)], axis=1),
            var=query.var.copy(),
            obsm={**query.obsm, **self._positions(rows)},
            varm=dict(query.varm),
            obsp=dict(query.obsp),
            varp=dict(query.varp),
            layers={**query.layers, **(self._layers(rows, columns) if means else {})},
            uns={**query.uns, "dgd": self.provenance},
        )
        result.var["dgd_in_model"] = columns >= 0
        if self.r is not None and self.r.ndim == 1:
            result.var["dgd_r"] = _take(self.r[None], columns)[0]
        return result

    def _positions(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        positions = {"X_dgd": self.representations[rows]}
        if self.most_probable is not None:
            positions["X_dgd_map"] = self.most_probable[rows]
        return positions

    def _layers(self, rows: np.ndarray, columns: np.ndarray) -> dict[str, np.ndarray]:
        layers = {"dgd_mean": _take(self.means[rows], columns)}
        if self.r is not None and self.r.ndim == 2:
            layers["dgd_r"] = _take(self.r[rows], columns)
        return layers

    def __repr__(self) -> str:
        return (
            f"ClosestNormal({plural(len(self.sample_names), 'sample')}, {plural(len(self.genes), 'gene')}, "
            f"point {self.provenance.get('point')!r})"
        )

    def rows_of(self, sample_names: pd.Index) -> Int[np.ndarray, " n"]:
        """Row numbers of samples, by name.

        Raises:
            NamesError: If one of them is not here.
        """
        rows = pd.Index(self.sample_names).get_indexer(sample_names)
        if (rows < 0).any():
            lost = sample_names[rows < 0]
            verb = "has" if len(lost) == 1 else "have"
            raise NamesError(
                f"{plural(len(lost), 'sample')} {verb} no closest normal here (first: {lost[0]!r}); "
                "call closest_normal on the same query"
            )
        return np.asarray(rows)


def _take(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    taken = values[:, columns].astype(np.float32)
    taken[:, columns < 0] = np.nan
    return taken
