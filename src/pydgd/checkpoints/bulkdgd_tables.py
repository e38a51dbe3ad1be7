# SPDX-License-Identifier: BSD-3-Clause
"""CSV tables of bulkdgd: samples, representations, and what its decoder predicts, to AnnData and back.

A row is a sample, the first column its name under an empty header. Genes are the columns whose name begins
with ``ENSG``, representations are ``latent_dim_1`` and so on, and every other column describes the samples.
Means are per unit of a sample's mean count.
"""

import re
import zlib
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Float

from pydgd.data import as_counts
from pydgd.data.tables import compact
from pydgd.errors import ConfigError, CountsError, FileFormatError, NamesError
from pydgd.files import atomic_write
from pydgd.words import plural

TABLE_KINDS = ("samples", "representations", "means", "r-values")
"""What `write_bulkdgd_table` writes."""

_GENE = re.compile(r"ENSG.*")
_DIMENSION = re.compile(r"latent_dim_\d+")


def read_bulkdgd_table(path: str | PathLike[str]) -> AnnData:
    """Read a CSV of samples, representations, decoder means or r-values; the columns tell which.

    Args:
        path: The file, perhaps gzipped (``.csv.gz``).

    Returns:
        Labels in `obs`. Representations are ``obsm["X_dgd"]``, without genes; values of genes are X, int32 if
        all are whole numbers.

    Raises:
        FileFormatError: If it is missing, truncated or no such table.
        NamesError: If a sample or gene is there twice.
        CountsError: If a value is missing or no number; the message names sample and column.
    """
    path = Path(path)
    header, frame = _read(path)
    names = pd.Index(frame.iloc[:, 0].astype(str).to_list(), dtype=object)
    columns = pd.Index(header[1:])
    frame = frame.iloc[:, 1:].set_axis(columns, axis=1).set_axis(names, axis=0)
    for what, index in (("sample", names), ("column", columns)):
        if not index.is_unique:
            first = index[index.duplicated()][0]
            raise NamesError(f"{path}: {what} {first!r} is there twice; give each a name of its own")
    is_dimension = columns.str.fullmatch(_DIMENSION.pattern)
    is_value = is_dimension if is_dimension.any() else columns.str.fullmatch(_GENE.pattern)
    if not is_value.any():
        raise FileFormatError(
            f"{path}: expected a table of bulkdgd, with genes (columns ENSG...) or representations "
            f"(latent_dim_1 ...); its columns are {', '.join(columns[:3])}, ..."
        )
    values = _numbers(path, frame.loc[:, is_value])
    obs = frame.loc[:, ~is_value].copy()
    if is_dimension.any():
        return AnnData(obs=obs, obsm={"X_dgd": _in_order(path, values, columns[is_value])})
    return AnnData(compact(values), obs=obs, var=pd.DataFrame(index=columns[is_value]))


def write_bulkdgd_table(adata: AnnData, path: str | PathLike[str], *, kind: str) -> None:
    """Write a CSV that bulkdgd reads.

    Args:
        adata: Counts, as a closest normal's `to_anndata` left them unless only ``samples`` are asked for.
        path: Where; ``.csv``, or ``.csv.gz``.
        kind: ``samples`` (counts), ``representations`` (``obsm["X_dgd"]``), ``means``
            (``layers["dgd_mean"]`` over the sample's mean count of the genes that are written, so that their
            product is the expected reads whatever the model's scaling rule) or ``r-values``
            (``layers["dgd_r"]`` or ``var["dgd_r"]``).

    Raises:
        ConfigError: If `kind` is unknown, or `adata` lacks what it asks for.
        NamesError: If no gene has a human Ensembl id, the only ones that bulkdgd takes for genes.
        OutputError: If the file cannot be written.
    """
    if kind not in TABLE_KINDS:
        raise ConfigError(f"kind must be one of {', '.join(TABLE_KINDS)}, got {kind!r}")
    frame = _FRAMES[kind](adata)
    clash = adata.obs.columns.intersection(frame.columns)
    frame = pd.concat([frame, adata.obs.drop(columns=clash)], axis=1)
    with atomic_write(path) as temporary:
        # mtime: the same table gives the same bytes.
        compression = {"method": "gzip", "mtime": 0} if Path(path).name.lower().endswith(".gz") else None
        frame.to_csv(temporary, index_label="", compression=compression)


def _read(path: Path) -> tuple[list[str], pd.DataFrame]:
    if not path.is_file():
        raise FileFormatError(f"{path}: there is no such file; give a CSV of bulkdgd")
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        # By position, as pandas renames repeats; converters keep names such as 007 and NA as they are.
        frame = pd.read_csv(
            path, header=None, skiprows=1, converters={0: str}, low_memory=False, float_precision="round_trip"
        )
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: the text is not UTF-8 ({error.reason}); save it as UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, EOFError, OSError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(
            f"{path}: the file is empty, damaged or no CSV ({reason}); get a fresh copy"
        ) from error
    names = [str(name) for name in header.iloc[0]]
    if len(names) != frame.shape[1] or len(names) < 2:
        raise FileFormatError(
            f"{path}: the header names {plural(len(names), 'column')}, rows have {frame.shape[1]}; expected "
            "a CSV of bulkdgd with sample names in the first column"
        )
    return names, frame


def _numbers(path: Path, frame: pd.DataFrame) -> Float[np.ndarray, "n columns"]:
    numbers = (
        frame
        if all(kind.kind in "iuf" for kind in frame.dtypes)
        else frame.apply(pd.to_numeric, errors="coerce")
    )
    values = numbers.to_numpy(dtype=np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        raise CountsError(
            f"{path}: {plural(len(wrong), 'value')} missing or no finite number (first: sample "
            f"{frame.index[row]!r}, {frame.columns[column]}: {frame.iloc[row, column]}); truncated?"
        )
    return values


def _in_order(path: Path, values: Float[np.ndarray, "n latent"], columns: pd.Index) -> np.ndarray:
    numbers = np.array([int(str(name).rsplit("_", 1)[1]) for name in columns])
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        raise FileFormatError(
            f"{path}: expected the columns latent_dim_1 to latent_dim_{len(numbers)}; they are others"
        )
    return values[:, numbers.argsort()]


def _genes(adata: AnnData, known: np.ndarray | None = None) -> np.ndarray:
    """Which genes bulkdgd takes for genes."""
    kept = np.asarray(adata.var_names.str.fullmatch(_GENE.pattern))
    if known is not None:
        kept &= known
    if not kept.any():
        raise NamesError(
            f"no gene has a name that begins with ENSG (first: {adata.var_names[:1].tolist()}), and bulkdgd "
            "knows no other; rename the genes to human Ensembl ids"
        )
    return kept


def _samples(adata: AnnData) -> pd.DataFrame:
    kept = _genes(adata)
    frame: pd.DataFrame = as_counts(adata)[:, kept].to_df()
    return frame


def _representations(adata: AnnData) -> pd.DataFrame:
    if "X_dgd" not in adata.obsm:
        raise ConfigError('there is no obsm["X_dgd"]; give what closest-normal wrote')
    z = np.asarray(adata.obsm["X_dgd"])
    return pd.DataFrame(z, adata.obs_names, [f"latent_dim_{d}" for d in range(1, z.shape[1] + 1)])


def _means(adata: AnnData) -> pd.DataFrame:
    if "dgd_mean" not in adata.layers:
        raise ConfigError('there is no layers["dgd_mean"]; give what closest-normal wrote with --means')
    mu = np.asarray(adata.layers["dgd_mean"], dtype=np.float64)
    kept = _genes(adata, np.asarray(np.isfinite(mu).all(axis=0)))
    counts = as_counts(adata)[:, kept].X
    factors = np.asarray(counts.mean(axis=1), dtype=np.float64).reshape(-1, 1)
    return pd.DataFrame(mu[:, kept] / factors, adata.obs_names, adata.var_names[kept])


def _r_values(adata: AnnData) -> pd.DataFrame:
    if "dgd_r" in adata.layers:
        r = np.asarray(adata.layers["dgd_r"], dtype=np.float64)
    elif "dgd_r" in adata.var:
        r = np.tile(adata.var["dgd_r"].to_numpy(dtype=np.float64), (adata.n_obs, 1))
    else:
        raise ConfigError('there is neither layers["dgd_r"] nor var["dgd_r"]: a Poisson model has no r')
    kept = _genes(adata, np.asarray(np.isfinite(r).all(axis=0)))
    return pd.DataFrame(r[:, kept], adata.obs_names, adata.var_names[kept])


_FRAMES = {"samples": _samples, "representations": _representations, "means": _means, "r-values": _r_values}
