# SPDX-License-Identifier: BSD-3-Clause
"""Samples in a plane: PCA, kernel PCA, MDS, t-SNE and UMAP of representations or any other columns."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.errors import ConfigError
from pydgd.tl.embedding_file import KeptEmbedding, read_embedding, write_embedding
from pydgd.tl.embedding_input import EmbeddingData, Fill, chosen_columns, numbers, table_of
from pydgd.tl.embedding_methods import METHODS, Arrays, Matrix, fitted_options
from pydgd.words import plural

__all__ = ["METHODS", "Embedding", "embed", "fit_embedding"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """A fitted embedding.

    Attributes:
        method: Key of `METHODS`.
        coordinates: Of the samples that it was fitted on, samples × ``C1`` ….
        columns: Columns that it was fitted on.
        options: Of the method, defaults included.
        fill: What stands for values that are not finite.
    """

    method: str
    coordinates: pd.DataFrame
    columns: tuple[str, ...]
    options: dict[str, Any]
    fill: Fill = field(default_factory=Fill)
    arrays: Arrays = field(default_factory=dict, repr=False)
    estimator: Any = field(default=None, repr=False)

    @property
    def explained(self) -> pd.Series:
        """Share of the variance along each coordinate; NaN for methods that do not say."""
        shares = self.arrays.get("share", np.full(self.coordinates.shape[1], np.nan))
        return pd.Series(shares, index=self.coordinates.columns, name="explained")

    def transform(self, data: EmbeddingData) -> pd.DataFrame:
        """Coordinates of new samples, each by itself; those of a sample fitted by PCA are what they were.

        Args:
            data: As for `fit_embedding`, with the columns that were fitted.

        Returns:
            Samples × coordinates.

        Raises:
            ConfigError: If the method cannot place new samples, a column is missing or a value not finite.
        """
        table = table_of(data)
        missing = [name for name in self.columns if name not in table]
        if missing:
            raise ConfigError(
                f"the data lack {len(missing)} of {len(self.columns)} columns that the embedding was fitted "
                f"on (first: {missing[0]!r}); give the same ones"
            )
        values = numbers(table, self.columns, self.fill)
        places = np.stack([self._place(row) for row in values])
        return pd.DataFrame(places, index=table.index, columns=self.coordinates.columns)

    def _place(self, row: Matrix) -> Matrix:
        project = METHODS[self.method].project
        if project is not None:
            return project(row, self.arrays, self.options)
        if self.estimator is None or not hasattr(self.estimator, "transform"):
            raise ConfigError(
                f"{self.method} cannot place new samples; fit old and new ones together, or use pca or kpca"
            )
        return np.asarray(self.estimator.transform(row[None])[0], dtype=float)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the embedding to one file, safetensors with JSON; no code inside.

        Args:
            path: Where; what is there is replaced.

        Raises:
            ConfigError: If the method cannot be kept as arrays (all but pca and kpca).
            OutputError: If the file cannot be written.
        """
        if METHODS[self.method].project is None:
            raise ConfigError(
                f"{self.method} cannot be kept in a file: nothing but its program's own memory places new "
                "samples; use pca or kpca, or fit old and new samples together"
            )
        write_embedding(
            KeptEmbedding(
                method=self.method,
                columns=self.columns,
                options=self.options,
                fill=self.fill,
                arrays=self.arrays,
                coordinates=self.coordinates,
            ),
            path,
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Embedding":
        """Read an embedding that `save` wrote; nothing in the file is executed.

        Raises:
            ModelFileError: If the file is missing, damaged or something else.
        """
        kept = read_embedding(path, methods=[name for name in METHODS if METHODS[name].project is not None])
        return cls(
            method=kept.method,
            coordinates=kept.coordinates,
            columns=kept.columns,
            options=kept.options,
            fill=kept.fill,
            arrays=kept.arrays,
        )


def fit_embedding(
    data: EmbeddingData,
    method: str = "pca",
    *,
    columns: str | Iterable[str] | None = None,
    n_components: int = 2,
    prefix: str = "C",
    fill: Fill | None = None,
    seed: int = 0,
    **options: Any,  # noqa: ANN401  # those of the library
) -> Embedding:
    """Fit an embedding of samples in few dimensions; the order of the samples does not matter.

    Args:
        data: A model (its training samples), closest normals, an AnnData with ``obsm["X_dgd"]``, or a table
            with one row per sample.
        method: ``pca``, ``kpca``, ``mds``, ``tsne`` or ``umap`` (extra ``umap``).
        columns: Names of columns, or a regular expression that is searched in them; by default the
            representations ``z1`` … or, in a table without them, all numbers.
        n_components: Number of coordinates.
        prefix: Of their names.
        fill: What stands for values that are not finite; by default they are refused.
        seed: Decides what is random.
        **options: Of scikit-learn's PCA, KernelPCA, MDS or TSNE, or of umap-learn's UMAP.

    Returns:
        The embedding, with the samples' coordinates.

    Raises:
        ConfigError: If the method, a column or an option is unknown, a value is not finite, or the library
            refuses an option.

    Example:
        >>> table = pd.DataFrame({"z1": [0.0, 2.0, 4.0], "z2": [1.0, 1.0, 1.0]}, index=["S1", "S2", "S3"])
        >>> embedding = fit_embedding(table, "pca", n_components=1)
        >>> embedding.coordinates["C1"].abs().tolist(), embedding.explained.tolist()
        ([2.0, 0.0, 2.0], [1.0])
    """
    table, fill = table_of(data), fill or Fill()
    names = chosen_columns(table, columns)
    values = numbers(table, names, fill)
    if n_components < 1:
        raise ConfigError(f"n_components is {n_components}; give at least 1")
    known = fitted_options(method, options, n_samples=len(values), seed=seed)
    # Sorted by name: what starts at random does so by place.
    order = np.argsort(table.index.to_numpy(dtype=str), kind="stable")
    estimator, places = _fitted(method, values[order], n_components, known)
    kept = METHODS[method].keep
    arrays = (
        {} if kept is None else {name: np.ascontiguousarray(x, float) for name, x in kept(estimator).items()}
    )
    coordinates = np.empty(places.shape)
    coordinates[order] = places
    axes = pd.Index([f"{prefix}{i}" for i in range(1, places.shape[1] + 1)])
    frame = pd.DataFrame(coordinates, index=table.index, columns=axes)
    result = Embedding(method, frame, names, known, fill, arrays, estimator if kept is None else None)
    if kept is not None:
        frame[:] = result.transform(table)
    return result


def embed(
    data: EmbeddingData,
    method: str = "pca",
    *,
    fitted: Embedding | None = None,
    keep: bool = True,
    **options: Any,  # noqa: ANN401  # those of fit_embedding
) -> pd.DataFrame:
    """Coordinates of samples in few dimensions, and what else is known of the samples.

    Args:
        data: As for `fit_embedding`.
        method: As for `fit_embedding`; not heeded with `fitted`.
        fitted: An embedding to place the samples in; by default one is fitted on them.
        keep: Whether to return the columns that were not embedded too (tissue, …).
        **options: Other arguments of `fit_embedding`.

    Returns:
        Samples × ``C1`` … and, with `keep`, the other columns.

    Raises:
        ConfigError: As `fit_embedding` and `Embedding.transform`; or if options are given with `fitted`.

    Example:
        >>> table = pd.DataFrame({"z1": [0.0, 4.0], "tissue": ["liver", "lung"]}, index=["S1", "S2"])
        >>> embed(table, n_components=1).columns.tolist()
        ['C1', 'tissue']
    """
    if fitted is not None and options:
        raise ConfigError(f"{next(iter(options))} was settled when the embedding was fitted; leave it out")
    used = fitted or fit_embedding(data, method, **options)
    table = table_of(data)
    places = used.coordinates if fitted is None else fitted.transform(table)
    if not keep:
        return places.copy()
    rest = [name for name in table if name not in used.columns and name not in places]
    return pd.concat([places, table[rest]], axis=1)


def _fitted(
    method: str, values: NDArray[np.float64], n_components: int, options: dict[str, Any]
) -> tuple[Any, NDArray[np.float64]]:
    kind = METHODS[method].load()
    # t-SNE starts from places divided by their spread, and crashes on what 0 / 0 gives.
    if METHODS[method].keep is None and not np.ptp(values, axis=0).any():
        raise ConfigError(f"{method} has no differences between samples to go by; give others, or use pca")
    try:
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            # numba's and scikit-learn's about each other's future: nothing that a user could act on.
            warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))
            estimator = kind(n_components=n_components, **options)
            places = np.asarray(estimator.fit_transform(values), dtype=float)
    except (ValueError, TypeError) as error:
        shape = f"{plural(values.shape[0], 'sample')} and {plural(values.shape[1], 'column')}"
        raise ConfigError(f"{method} cannot be fitted on {shape}: {error}") from error
    return estimator, places
