# SPDX-License-Identifier: BSD-3-Clause
"""Rank-based gene set enrichment, by gseapy."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pydgd.errors import ConfigError, GeneMismatchError, NamesError
from pydgd.tl.calls import check_columns, in_order
from pydgd.tl.enrichment import check_sizes
from pydgd.tl.gene_set_files import GeneSets, checked_sets
from pydgd.words import plural

_log = logging.getLogger(__name__)

# Fewer genes have no ranking to speak of, and gseapy divides by what is left of them.
_FEWEST_GENES = 10


def gsea(
    table: pd.DataFrame,
    gene_sets: GeneSets,
    *,
    rank_by: str = "stat",
    permutations: int = 1000,
    min_genes: int = 5,
    max_genes: int = 500,
    weight: float = 1.0,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Test whether the genes of each set are gathered at one end of a sample's ranking, sample by sample.

    It needs no threshold: many small changes in one direction are found that calls would miss. A p-value is
    the share, among permutations with a score of the same sign, of those at least as far from 0. Needs the
    extra ``gsea`` (``pip install 'pydgd[gsea]'``).

    Args:
        table: What `pydgd.differential_expression` returns, with all its rows.
        gene_sets: Set → genes, as `read_gene_sets` gives them.
        rank_by: Column that ranks the tested genes, high for up: ``stat`` or ``log2FoldChange``.
        permutations: How often gene labels are shuffled, at least 10; p-values are no smaller than
            1 / (permutations + 1).
        min_genes: Sets with fewer tested genes are left out.
        max_genes: Sets with more tested genes are left out, and so are sets of all of them.
        weight: Exponent of the ranking's values, at least 0; 0 goes by ranks alone.
        seed: Decides the permutations; each sample has the same.
        threads: Cores to use; the answer is the same with any number.
        progress: Called with samples done and samples in all.

    Returns:
        One row per sample and set, the smallest p first within a sample: ``sample``, ``gene_set``,
        ``n_genes`` of the set among the tested, ``es`` and ``nes``, the enrichment score and the same over
        its mean in permutations (above 0: up in the sample), ``pvalue``, ``padj`` (GSEA's false discovery
        rate), and ``genes``, the leading edge, with semicolons between.

    Raises:
        ConfigError: If gseapy is not installed, a column is missing or an option out of range.
        NamesError: If a sample has a gene twice, or there is no set.
        GeneMismatchError: If no set has enough tested genes in any sample with a ranking.

    Source:
        Subramanian et al. (2005), PNAS 102:15545; Fang, Liu & Peltz (2023), Bioinformatics 39:btac757, for
        gseapy; Phipson & Smyth (2010), SAGMB 9:39, for p-values that are never 0.
    """
    prerank = _prerank()
    _check_options(permutations=permutations, weight=weight, seed=seed, threads=threads)
    check_sizes(min_genes, max_genes)
    check_columns(table, ("sample", "gene", "padj", rank_by))
    sets = checked_sets(gene_sets)
    rows = _ranked_rows(table, rank_by)
    options = {
        "permutation_num": permutations, "min_size": min_genes, "max_size": max_genes, "weight": weight,
        "seed": seed, "threads": threads, "outdir": None, "no_plot": True, "verbose": False,
    }  # fmt: skip
    samples = rows["sample"].cat.categories
    parts = []
    for done, (sample, ranked) in enumerate(rows.groupby("sample", observed=False), 1):
        found = _of_sample(prerank, str(sample), ranked, sets, options)
        parts.append(_named(found, sample=str(sample), permutations=permutations))
        if progress is not None:
            progress(done, len(samples))
    result = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if result.empty:
        raise GeneMismatchError(
            f"no sample can be tested: none of the {plural(len(sets), 'gene set')} has {min_genes} to "
            f"{max_genes} tested genes, or the genes have no ranking (first tested gene: "
            f"{rows['gene'].astype(str).head(1).tolist()}); give sets with names of the same kind, or other "
            "min_genes and max_genes"
        )
    return result


def _prerank() -> Callable[..., Any]:
    try:
        from gseapy import prerank
    except ImportError as error:
        raise ConfigError(
            "rank-based enrichment needs gseapy, which is not installed; pip install 'pydgd[gsea]', or use "
            "over-representation"
        ) from error
    found: Callable[..., Any] = prerank
    return found


def _check_options(*, permutations: int, weight: float, seed: int, threads: int) -> None:
    if permutations < 10:
        raise ConfigError(f"permutations is {permutations}; at least 10 are needed, 1000 are usual")
    if not 0 <= weight < np.inf:
        raise ConfigError(f"weight is {weight}; give an exponent of at least 0, usually 1")
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed is {seed}; give a whole number of at least 0")
    if threads < 1:
        raise ConfigError(f"threads is {threads}; give at least 1")


def _ranked_rows(table: pd.DataFrame, rank_by: str) -> pd.DataFrame:
    """Sample, gene and value of the tested rows that have one."""
    if not pd.api.types.is_numeric_dtype(table[rank_by]):
        raise ConfigError(f"column {rank_by!r} holds no numbers to rank by; use stat or log2FoldChange")
    value = table[rank_by].to_numpy(dtype=float)
    if np.isinf(value).any():
        raise ConfigError(f"column {rank_by!r} holds infinite values; use stat, which is finite")
    rows = pd.DataFrame(
        {"sample": in_order(table["sample"]), "gene": in_order(table["gene"]), "value": value}
    )
    tested: pd.DataFrame = rows[table["padj"].notna().to_numpy() & ~np.isnan(value)]
    return tested


def _of_sample(
    prerank: Callable[..., Any],
    sample: str,
    rows: pd.DataFrame,
    sets: dict[str, tuple[str, ...]],
    options: dict[str, Any],
) -> pd.DataFrame:
    """What gseapy says of one sample; no row if it has too few genes or no set of the right size."""
    # Sorted by name, so that ties fall the same way whatever the order of the table.
    ranking = pd.Series(rows["value"].to_numpy(dtype=float), index=rows["gene"].astype(str)).sort_index()
    if not ranking.index.is_unique:
        twice = ranking.index[ranking.index.duplicated()][0]
        raise NamesError(f"sample {sample!r} has the gene {twice!r} twice; give each gene one row")
    known = {name: [gene for gene in genes if gene in ranking.index] for name, genes in sets.items()}
    fits = {
        name: genes
        for name, genes in known.items()
        # A set of all genes has no end of the ranking to be at.
        if options["min_size"] <= len(genes) <= min(options["max_size"], len(ranking) - 1)
    }
    if len(ranking) < _FEWEST_GENES or ranking.nunique() < 2 or not fits:
        _log.warning(
            "sample %r has %s of %s and %s of a size that can be tested; it is left out",
            sample,
            plural(len(ranking), "tested gene"),
            plural(ranking.nunique(), "different value"),
            plural(len(fits), "gene set"),
        )
        return pd.DataFrame(columns=["Term", "ES", "NES", "NOM p-val", "FDR q-val", "Lead_genes", "n_genes"])
    found: pd.DataFrame = prerank(rnk=ranking, gene_sets=fits, **options).res2d
    return found.assign(n_genes=found["Term"].map({name: len(genes) for name, genes in fits.items()}))


def _named(found: pd.DataFrame, *, sample: str, permutations: int) -> pd.DataFrame:
    numbers = {
        name: pd.to_numeric(found[theirs]).astype(float)
        for name, theirs in {"es": "ES", "nes": "NES", "pvalue": "NOM p-val", "padj": "FDR q-val"}.items()
    }
    least = 1 / (permutations + 1)
    table = pd.DataFrame(
        {
            "sample": sample,
            "gene_set": found["Term"].astype(str),
            "n_genes": found["n_genes"].astype(np.int64),
            "es": numbers["es"],
            "nes": numbers["nes"],
            "pvalue": numbers["pvalue"].clip(lower=least),
            "padj": numbers["padj"].clip(lower=least),
            "genes": found["Lead_genes"].astype(str),
        }
    )
    return table.sort_values(["pvalue", "padj", "gene_set"], kind="stable", ignore_index=True)
