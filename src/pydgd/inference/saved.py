# SPDX-License-Identifier: BSD-3-Clause
"""Closest normals that were written to a file, found again without a search."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata.io import read_elem
from jaxtyping import Float

from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, GeneMatch
from pydgd.data.claims import check_claims
from pydgd.data.formats import detect_format
from pydgd.data.hdf5 import damage_named, open_h5ad, open_zarr
from pydgd.errors import ConfigError, CountsError, FileFormatError, GeneMismatchError, NamesError
from pydgd.inference.closest_normal import scaling_factors_of
from pydgd.inference.decoding import decode
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.posterior import Posterior
from pydgd.inference.result import ClosestNormal
from pydgd.words import plural

_POINTS = ("posterior", "map")
# Another processor may round the last bits of an exponential, and of the float32 sums behind a likelihood;
# the latter is looked at in relation to the sum, and to the number of genes.
_SAME_FACTOR, _SAME_NLL = 1e-12, 1e-5
_AGAIN = "run pydgd closest-normal on these counts with this model again"


@dataclass(frozen=True, eq=False)
class SavedNormal:
    """Where the closest normals of some samples are, as `ClosestNormal.to_anndata` left them in a file.

    What follows from the most probable positions is found again from them, to the bit as it was, so the file
    need not hold it.

    Attributes:
        path: The file.
        fit: One row per sample.
        most_probable: Most probable positions, (N, D).
        genes: Those that the samples were measured for.
        provenance: Model hash, versions and options.
    """

    path: Path
    fit: pd.DataFrame
    most_probable: Float[np.ndarray, "n latent"]
    genes: pd.Index
    provenance: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "SavedNormal":
        """Read all but the matrices of an h5ad file or a zarr folder.

        Args:
            path: What `pydgd closest-normal` wrote.

        Raises:
            FileFormatError: If it is missing, damaged or something else.
            ConfigError: If it is zarr, which is not installed.
        """
        path = Path(path)
        with _opened(path) as file, damage_named(path):
            if path.is_dir():
                check_claims(file, path, ["obs", "var", "uns", "obsm"])
            if "uns/dgd/model_sha256" not in file or "obsm/X_dgd" not in file:
                raise FileFormatError(
                    f"{path}: this is not a result of closest-normal (no uns['dgd'] or no obsm['X_dgd']); "
                    "give the file that pydgd closest-normal wrote"
                )
            obs, var = read_elem(file["obs"]), read_elem(file["var"])
            if not obs.index.is_unique:
                twice = obs.index[obs.index.duplicated()][0]
                raise FileFormatError(f"{path}: sample {twice!r} is there more than once; {_AGAIN}")
            positions = "obsm/X_dgd_map" if "obsm/X_dgd_map" in file else "obsm/X_dgd"
            obs.index = obs.index.astype(str)
            return cls(
                path=path,
                fit=_with_numbers(obs[[name for name in obs if str(name).startswith("dgd_")]]),
                most_probable=_positions(read_elem(file[positions]), n_samples=len(obs)),
                genes=var.index.astype(str),
                provenance=read_elem(file["uns/dgd"]),
            )

    def check(self, *, model_sha256: str, sample_names: pd.Index, match: GeneMatch) -> None:
        """Refuse a file that is not about these samples, their genes and this model.

        Args:
            model_sha256: Content hash of the model.
            sample_names: Of the counts.
            match: Where the model's genes stand in the counts.

        Raises:
            ConfigError: If another model was used, or another point.
            NamesError: If a sample is missing.
            GeneMismatchError: If other genes were measured.
        """
        found = str(self.provenance["model_sha256"])
        if found != model_sha256:
            raise ConfigError(
                f"{self.path} is of another model: SHA-256 {found[:12]}…, this one has {model_sha256[:12]}…; "
                f"give the model that it was found with, or {_AGAIN}"
            )
        if self.point not in _POINTS:
            raise ConfigError(
                f"{self.path} holds the point {self.point!r}, not {' or '.join(_POINTS)}; {_AGAIN}"
            )
        self._check_samples(sample_names)
        self._check_genes(match)

    @property
    def point(self) -> str:
        """What the search was asked for: ``map`` or ``posterior``."""
        return str(self.provenance.get("point"))

    def of(
        self, model: JointModel, query: AlignedCounts, *, posterior: Posterior | None = None
    ) -> ClosestNormal:
        """The closest normals of some of the samples.

        Args:
            model: The one that they were found with.
            query: The samples' counts.
            posterior: The model's, if `point` is ``posterior``.

        Raises:
            NamesError: If a sample is missing.
            CountsError: If a sample has other counts than when its closest normal was found.
        """
        self._check_samples(pd.Index(query.sample_names))
        rows = self._rows(pd.Index(query.sample_names))
        fit, z = self.fit.iloc[rows], self.most_probable[rows]
        if z.shape[1] != model.decoder.latent_dim:
            raise FileFormatError(
                f"{self.path}: positions of {z.shape[1]} dimensions, the model has "
                f"{model.decoder.latent_dim}; {_AGAIN}"
            )
        factors = fit["dgd_scaling_factor"].to_numpy()
        now = scaling_factors_of(model, query)
        if "dgd_scaling_shift" in fit:
            now = now * np.exp(fit["dgd_scaling_shift"].to_numpy())
        self._check_factors(factors, now, query.sample_names)
        self._check_nll(model, query, torch.as_tensor(z), factors, fit["dgd_nll"].to_numpy())
        means, r = decode(model, torch.as_tensor(z), factors)
        normal = ClosestNormal(
            sample_names=query.sample_names,
            genes=query.genes,
            measured=query.measured,
            representations=z,
            means=means,
            r=r,
            scaling_factors=factors,
            component=fit["dgd_component"].to_numpy(),
            fit=fit,
            provenance=dict(self.provenance),
        )
        if posterior is None:
            return normal
        return replace(posterior.of(normal, query), most_probable=z)

    def _rows(self, sample_names: pd.Index) -> np.ndarray:
        return np.asarray(self.fit.index.get_indexer(sample_names))

    def _check_samples(self, sample_names: pd.Index) -> None:
        lost = sample_names[self._rows(sample_names) < 0]
        if len(lost):
            raise NamesError(
                f"{self.path} lacks {len(lost):,} of {plural(len(sample_names), 'sample')} (first: "
                f"{lost[0]!r}); {_AGAIN}"
            )

    def _check_genes(self, match: GeneMatch) -> None:
        then = pd.Index(match.genes).isin(self.genes)
        other = np.flatnonzero(then != match.measured)
        if other.size:
            first = match.genes[other[0]]
            when = "only then" if then[other[0]] else "only now"
            raise GeneMismatchError(
                f"{self.path} was found from other genes: {plural(int(other.size), 'gene')} of the model "
                f"(first: {first!r}) measured {when}; {_AGAIN}"
            )

    def _check_factors(self, then: np.ndarray, now: np.ndarray, sample_names: tuple[str, ...]) -> None:
        other = np.flatnonzero(~np.isclose(then, now, rtol=_SAME_FACTOR, atol=0))
        if other.size:
            first = other[0]
            raise CountsError(
                f"{self.path} was found from other counts: sample {sample_names[first]!r} had the scaling "
                f"factor {then[first]:.10g} and has {now[first]:.10g}; {_AGAIN}"
            )

    def _check_nll(
        self, model: JointModel, query: AlignedCounts, z: torch.Tensor, factors: np.ndarray, then: np.ndarray
    ) -> None:
        """Reads that moved from one gene to another leave the scaling factor as it was."""
        dtype = model.profile.dtype
        counts, s = (torch.as_tensor(values, dtype=dtype) for values in (query.counts, factors))
        objective = FrozenObjective(model, counts, s, torch.as_tensor(query.measured))
        now = objective.nll(z).numpy()
        other = np.flatnonzero(~np.isclose(then, now, rtol=_SAME_NLL, atol=_SAME_NLL * len(query.genes)))
        if other.size:
            first = other[0]
            raise CountsError(
                f"{self.path} was found from other counts: sample {query.sample_names[first]!r} was "
                f"{then[first]:.10g} nats from its closest normal and is {now[first]:.10g}; {_AGAIN}"
            )


def _with_numbers(fit: pd.DataFrame) -> pd.DataFrame:
    """The columns themselves; ValueError if one that is computed with holds no numbers."""
    for name in (
        "dgd_scaling_factor",
        "dgd_nll",
        "dgd_component",
        *({"dgd_scaling_shift"} & set(fit.columns)),
    ):
        if not (pd.api.types.is_numeric_dtype(fit[name]) and np.isfinite(fit[name]).all()):
            raise ValueError(f"obs[{name!r}] must hold finite numbers")
    return fit


def _positions(values: Any, *, n_samples: int) -> np.ndarray:  # noqa: ANN401  # whatever the file holds
    """Positions themselves; ValueError if they are none."""
    is_table = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind == "f"
    if not (is_table and len(values) == n_samples and np.isfinite(values).all()):
        raise ValueError(
            f"positions must be a table of finite numbers, one row for each of {n_samples} samples"
        )
    return np.asarray(values)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A group of h5py or of zarr."""
    if path.suffix.lower() == ".zarr" and path.is_dir():
        yield open_zarr(path)
    elif detect_format(path) == "h5ad":
        with open_h5ad(path) as file:
            yield file
    else:
        raise FileFormatError(
            f"{path}: expected an h5ad file or a zarr folder that pydgd closest-normal wrote"
        )
