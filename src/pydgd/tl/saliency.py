# SPDX-License-Identifier: BSD-3-Clause
r"""What a gene's mean and a sample's representation do to each other, by exact derivatives.

With J the derivatives of ln mu in z, a step of one standard deviation within a component (covariance S)
moves ln mu of gene g by :math:`\sqrt{J_g S J_g^T}`. The other way round, the most probable z satisfies
:math:`\partial_z [\ln p(x \mid z) + \ln p(z)] = 0`, so that by the implicit function theorem

.. math:: \partial z / \partial \ln x_g = H^{-1} J_g \mu_g r_g / (r_g + \mu_g),

at :math:`x_g = \mu_g`, with the expected curvature :math:`H = J^T \mathrm{diag}(\mu r / (\mu + r)) J + P`
and P the prior's precision at z. Scaling factors stay as they are, and so does a predicted r.
"""

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.dgd import DGD
from pydgd.errors import ConfigError, GeneMismatchError
from pydgd.inference import ClosestNormal
from pydgd.inference.decoding import decode
from pydgd.inference.uncertainty import log_mean_jacobian
from pydgd.tl.gene_set_files import GeneSets, checked_sets
from pydgd.tl.positions import Positions, Source, check_model, positions

Matrix = NDArray[np.float64]

SCALES = ("log", "mean")
"""Whether a change of a mean is relative to it, or in reads per unit of the scaling factor."""


def gene_sensitivity(
    model: DGD,
    source: Source = None,
    *,
    gene_sets: GeneSets | None = None,
    scale: str = "log",
    signed: bool = False,
) -> pd.DataFrame:
    """How much each gene's mean moves with the representation, over samples.

    Args:
        model: The trained model.
        source: Closest normals, an AnnData with ``obsm["X_dgd"]``, a DataFrame of samples × latent
            dimensions, or None for the training samples.
        gene_sets: Set → genes: then the average over each set's genes is what moves; None for single genes.
        scale: ``log`` for derivatives of ln m, ``mean`` for those of m, the mean per unit of the scaling
            factor (bulkdgd's saliency map).
        signed: Average the derivatives themselves over the samples, rather than their sizes.

    Returns:
        One row per gene or set: ``gene`` or ``gene_set`` (and ``n_genes`` that the model has); ``z1`` …, the
        derivative in each latent dimension, averaged over the samples; ``spread``, by how much the mean moves
        (root mean square over the samples) when z moves by one standard deviation within a component.

    Raises:
        ConfigError: If the representations are not of this model's space, or the scale is unknown.
        GeneMismatchError: If no set has a gene of the model.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> model = DGD.fit(simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200).normals, epochs=5)
        >>> gene_sensitivity(model).columns[:2].tolist()
        ['gene', 'z1']
    """
    if scale not in SCALES:
        raise ConfigError(f"scale is {scale!r}; choose one of {', '.join(SCALES)}")
    found, rows = positions(model, source), _Rows.of(model, gene_sets)
    step = np.linalg.cholesky(_pooled_covariance(model))
    total, squares = np.zeros((rows.n, len(step))), np.zeros(rows.n)
    for z in found.z:
        slopes = rows.averaged(_jacobian(model, z, scale=scale))
        total += slopes if signed else np.abs(slopes)
        squares += np.square(slopes @ step).sum(axis=1)
    table = rows.table()
    for d, column in enumerate(total.T / len(found.z), 1):
        table[f"z{d}"] = column
    table["spread"] = np.sqrt(squares / len(found.z))
    return table


def representation_sensitivity(
    model: DGD,
    normal: ClosestNormal | AnnData,
    *,
    gene_sets: GeneSets | None = None,
    top: int | None = None,
) -> pd.DataFrame:
    """How far each gene's reads move a sample's representation: which genes decided where it is.

    Args:
        model: The trained model.
        normal: What `DGD.closest_normal` found, or an AnnData as `ClosestNormal.to_anndata` leaves it.
        gene_sets: Set → genes: then all measured genes of a set change together; None for single genes.
        top: Only so many rows of each sample; None for all.

    Returns:
        One row per sample and measured gene (or set), the largest shift first: ``sample``, ``gene`` or
        ``gene_set``; ``shift``, by how many standard deviations within a component z would move, to first
        order, if the reads expected of it doubled; ``z1`` …, where to.

    Raises:
        ConfigError: If the positions are not of this model's space, or `top` is below 1.
        GeneMismatchError: If no set has a measured gene.
    """
    if top is not None and top < 1:
        raise ConfigError(f"top is {top}; give at least 1 row per sample, or None for all")
    found, factors, measured = _search_state(model, normal)
    rows = _Rows.of(model, gene_sets, measured=measured)
    whitening = np.linalg.inv(np.linalg.cholesky(_pooled_covariance(model)))
    parts = []
    for name, z, factor in zip(found.names, found.z, factors, strict=True):
        moves = np.log(2) * rows.summed(_moves(model, z, float(factor), measured))
        shift = np.linalg.norm(moves @ whitening.T, axis=1)
        order = np.argsort(-shift, kind="stable")[:top]
        part = rows.names().iloc[order].reset_index(drop=True)
        part.insert(0, "sample", name)
        part["shift"] = shift[order]
        for d, column in enumerate(moves[order].T, 1):
            part[f"z{d}"] = column
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


class _Rows:
    """Genes, or sets of genes, whose derivatives are asked for.

    Args:
        genes: Of the model.
        places: Name of the gene or set → places of its genes.
        what: Name of the column with the names.
    """

    def __init__(self, places: dict[str, NDArray[np.intp]], what: str) -> None:
        self._places, self._what = places, what
        self._single = what == "gene"
        self._flat = np.concatenate(list(places.values()))
        self._sizes = np.array([len(one) for one in places.values()])
        self.n = len(places)

    @classmethod
    def of(
        cls, model: DGD, gene_sets: GeneSets | None, *, measured: NDArray[np.bool_] | None = None
    ) -> "_Rows":
        genes = pd.Index(model.genes)
        seen = np.ones(len(genes), dtype=bool) if measured is None else measured
        if gene_sets is None:
            return cls({genes[i]: np.array([i]) for i in np.flatnonzero(seen).tolist()}, "gene")
        given = checked_sets(gene_sets)
        found = {name: genes.get_indexer(pd.Index(one, dtype=object)) for name, one in given.items()}
        known = {name: places[places >= 0] for name, places in found.items()}
        kept = {name: places[seen[places]] for name, places in known.items() if seen[places].any()}
        if not kept:
            first = next((one[0] for one in given.values() if one), "")
            raise GeneMismatchError(
                f"no gene of the sets (first: {first!r}) is among the {len(genes):,} of the model (first: "
                f"{genes[0]!r}); give sets with names of the same kind"
            )
        return cls(kept, "gene_set")

    def summed(self, values: Matrix) -> Matrix:
        """Sums over the genes of each row."""
        if self._single:
            return np.asarray(values[self._flat])
        starts = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        return np.asarray(np.add.reduceat(values[self._flat], starts, axis=0))

    def averaged(self, values: Matrix) -> Matrix:
        """Averages over the genes of each row."""
        return np.asarray(self.summed(values) / self._sizes[:, None])

    def names(self) -> pd.DataFrame:
        """Names alone."""
        return pd.DataFrame({self._what: pd.Series(list(self._places), dtype=object)})

    def table(self) -> pd.DataFrame:
        """Names, and of sets how many genes they have here."""
        return self.names() if self._single else self.names().assign(n_genes=self._sizes)


def _jacobian(model: DGD, z: torch.Tensor, *, scale: str = "log") -> Matrix:
    """Derivatives of ln m, or of m, in one representation, (G, D), float64."""
    core = model.record.model
    with torch.no_grad():
        row = z.to(core.profile.dtype)
        slopes = log_mean_jacobian(core, row).double().numpy()
        if scale == "log":
            return np.asarray(slopes)
        means = core.decoder.output_module.means_of(core.decoder(row.unsqueeze(0)))[0]
        return np.asarray(slopes * means.double().numpy()[:, None])


def _moves(model: DGD, z: torch.Tensor, factor: float, measured: NDArray[np.bool_]) -> Matrix:
    """Derivatives of z in ln x of every gene, (G, D); 0 where it is not measured."""
    core = model.record.model
    mu, r = decode(core, z.unsqueeze(0), np.array([factor]))
    inverse_r = 0.0 if r is None else 1 / r.reshape(-1, mu.shape[1])[0]
    mean = mu[0].astype(np.float64)
    weight = measured * mean / (1 + mean * inverse_r)
    jacobian = _jacobian(model, z)
    with torch.no_grad():
        prior = core.prior.precisions(z.unsqueeze(0))[0].double().numpy()
    curvature = jacobian.T @ (weight[:, None] * jacobian) + prior
    return np.asarray(np.linalg.solve(curvature, (weight[:, None] * jacobian).T).T)


def _pooled_covariance(model: DGD) -> Matrix:
    """Mean covariance within a component."""
    prior = model.record.model.prior
    with torch.no_grad():
        pooled = torch.einsum("k,kij->ij", prior.weights.double(), prior.covariances().double())
    return np.asarray(pooled.numpy())


def _search_state(model: DGD, normal: ClosestNormal | AnnData) -> tuple[Positions, Matrix, NDArray[np.bool_]]:
    """Most probable positions, scaling factors, and which of the model's genes were measured."""
    check_model(model, normal)
    if isinstance(normal, ClosestNormal):
        z = normal.representations if normal.most_probable is None else normal.most_probable
        frame = pd.DataFrame(z, index=pd.Index(normal.sample_names))
        return positions(model, frame), normal.scaling_factors, normal.measured
    key = "X_dgd_map" if "X_dgd_map" in normal.obsm else "X_dgd"
    if key not in normal.obsm or "dgd_scaling_factor" not in normal.obs:
        raise ConfigError(
            "the AnnData has no obsm['X_dgd'] or no obs['dgd_scaling_factor']; give what "
            "ClosestNormal.to_anndata returns or `pydgd closest-normal` wrote"
        )
    frame = pd.DataFrame(np.asarray(normal.obsm[key]), index=normal.obs_names)
    measured = np.asarray(pd.Index(model.genes).isin(normal.var_names))
    return positions(model, frame), normal.obs["dgd_scaling_factor"].to_numpy(dtype=float), measured
