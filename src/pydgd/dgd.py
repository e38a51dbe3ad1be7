# SPDX-License-Identifier: BSD-3-Clause
"""`DGD`: a trained model as its user meets it, with names at every edge."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.checkpoints import (
    ModelRecord,
    load_model,
    read_bulkdgd,
    save_model,
    with_content_hash,
    write_bulkdgd,
)
from pydgd.checkpoints.versions import versions
from pydgd.config import training_config
from pydgd.data import CountRows, align_to_genes, as_counts, count_rows, match_genes
from pydgd.data.blocks import AnyMatrix
from pydgd.data.named import find_model
from pydgd.inference import ClosestNormal, SearchOptions, closest_normal, closest_normal_chunks
from pydgd.inference.flags import FitFlags
from pydgd.inference.imputation import checked_targets, imputed
from pydgd.inference.neighbours import TrainingSamples
from pydgd.inference.options import overruled
from pydgd.inference.posterior import POINTS, Posterior, check_point
from pydgd.training import CapacitySearch, Checkpoints, EpochReport, Hardware, search_capacity
from pydgd.training.cohort import cohort_of
from pydgd.training.fine_tuning import fine_tuned, fine_tuning_config
from pydgd.training.record import trained_record
from pydgd.training.samples import Samples, sample_groups, sorted_and_modelled

__all__ = ["DGD", "POINTS"]


class DGD:
    """A deep generative decoder trained on healthy samples.

    Made by `fit` or `load`.

    Attributes:
        record: Model, training representations, labels, history, options and provenance.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> model = DGD.fit(cohort.normals, latent_dim=4, epochs=5)
        >>> normal = model.closest_normal(cohort.cases)
        >>> normal.means.shape[0] == cohort.cases.n_obs
        True
    """

    def __init__(self, record: ModelRecord) -> None:
        self.record = record
        # Frozen for good: a search in another thread must not meet parameters that another one unfreezes.
        record.model.eval().requires_grad_(requires_grad=False)

    @classmethod
    def fit(
        cls,
        data: AnnData | pd.DataFrame | AnyMatrix | CountRows,
        *,
        sample_names: Iterable[str] | None = None,
        genes: Iterable[str] | None = None,
        progress: Callable[[EpochReport], None] | None = None,
        checkpoints: Checkpoints | None = None,
        device: str = "auto",
        precision: str = "32",
        **options: Any,  # noqa: ANN401  # checked by TrainingConfig
    ) -> "DGD":
        """Train on the counts of healthy samples.

        Samples and genes are sorted by name first, so their order in `data` changes nothing. Counts that stay
        in their file are read in its order, some at a time, so that their number does not matter.

        Args:
            data: Counts, samples × genes; a NumPy array or SciPy sparse matrix needs both kinds of names.
                Those of a backed AnnData, and of `pydgd.data.open_counts`, stay on the disk.
            sample_names: Names of the rows of an array.
            genes: Names of the columns of an array.
            progress: Called after every epoch.
            checkpoints: Where the state of the run is kept, so that it can be resumed after a failure.
            device: What computes the steps: ``cpu``, ``cuda``, ``mps``, or ``auto`` for a CUDA GPU where
                there is one, else the processor. The model is the processor's, whatever trained it.
            precision: ``32``, or ``tf32`` or ``bf16`` for the decoder's matrix products; the likelihood keeps
                its stable form (docs/scaling.md).
            **options: Fields of `pydgd.config.TrainingConfig`, such as ``latent_dim=64, seed=0``.

        Returns:
            The trained model.

        Raises:
            ConfigError: If an option is unknown or out of range, or there is no such device.
            CheckpointError: If a kept state is damaged, of another training, or not to be resumed.
            CountsError: If the counts are not counts.
            NamesError: If sample or gene names are missing or repeated.
            OutputError: If the state of the run cannot be kept.
            TooLargeError: If memory does not hold the counts as training needs them.
            TrainingError: If there are too few samples, or fewer than two genes have reads.
        """
        config, hardware = training_config(**options), Hardware.chosen(device, precision)
        cohort = cohort_of(data, config, sample_names=sample_names, genes=genes)
        return cls(
            trained_record(cohort, config, hardware=hardware, progress=progress, checkpoints=checkpoints)
        )

    @classmethod
    def search_capacity(
        cls,
        data: AnnData | pd.DataFrame | AnyMatrix,
        *,
        sample_names: Iterable[str] | None = None,
        genes: Iterable[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
        heads: Iterable[str] | None = None,
        latent_dims: Iterable[int] | None = None,
        n_components: Iterable[int] | None = None,
        **options: Any,  # noqa: ANN401  # checked by TrainingConfig
    ) -> CapacitySearch:
        """Find the latent size, head and number of components for `fit`; what `options` give is not varied.

        Args:
            data: Counts of healthy samples of at least ten donors, as in `fit`.
            sample_names: Names of the rows of an array.
            genes: Names of the columns of an array.
            progress: Called with trainings done and in all.
            heads: Some of ``linear``, ``low-rank`` and ``mlp``; all by default.
            latent_dims: By default steps around what `fit` would take.
            n_components: Likewise.
            **options: Other options of `fit`.

        Returns:
            A table of what was tried, and the options of the best: ``DGD.fit(data, **found.options)``.

        Raises:
            ConfigError: If an option is unknown or out of range.
            CountsError: If the counts are not counts.
            NamesError: If sample or gene names are missing or repeated.
            TrainingError: If there are fewer than ten donors, or fewer than two genes have reads.

        Example:
            >>> from pydgd.data import simulate_cohort
            >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
            >>> found = DGD.search_capacity(cohort.normals, heads=["linear"], latent_dims=[2, 8], epochs=4)
            >>> found.table["head"].unique(), found.options["latent_dim"] in (2, 8)
            (array(['linear'], dtype=object), True)
        """
        config = training_config(**options)
        adata = sorted_and_modelled(as_counts(data, sample_names=sample_names, genes=genes), config)
        return search_capacity(
            align_to_genes(adata, list(adata.var_names)),
            sample_groups(adata.obs, config),
            config,
            heads=heads,
            latent_dims=latent_dims,
            n_components=n_components,
            progress=progress,
        )

    def fine_tune(
        self,
        data: AnnData | pd.DataFrame | AnyMatrix,
        *,
        sample_names: Iterable[str] | None = None,
        genes: Iterable[str] | None = None,
        replay: AnnData | pd.DataFrame | None = None,
        more_dimensions: int | None = None,
        more_components: int | None = None,
        progress: Callable[[EpochReport], None] | None = None,
        checkpoints: Checkpoints | None = None,
        **options: Any,  # noqa: ANN401  # checked by TrainingConfig
    ) -> "DGD":
        """A model that knows new healthy samples, such as those of further tissues, as well as the old ones.

        The old samples are replayed from the model: it is trained on the new ones and on what it expects at
        the old ones' representations. With the old samples themselves (`replay`) p-values are calibrated on
        both; else on the new ones, or as before, whichever is the more cautious.

        Args:
            data: Counts of healthy samples that the model has not seen, with all of its genes, as in `fit`.
            sample_names: Names of the rows of an array.
            genes: Names of the columns of an array.
            replay: Counts of the samples that the model was trained on, if they are at hand.
            more_dimensions: Latent dimensions to add; by default one per 6 new samples, at most 64. A decoder
                with hidden layers keeps its own.
            more_components: Components to add; by default one per 20 new samples, at most 30.
            progress: Called after every epoch.
            checkpoints: Where the state of the run is kept, as in `fit`.
            **options: ``epochs`` (20 by default), ``learning_rate`` (0.01), ``batch_size``, ``validation``,
                ``validation_seed``, ``group_key``, ``label_key`` and ``seed`` of `fit`.

        Returns:
            Another model; this one is not changed.

        Raises:
            ConfigError: If an option is unknown or out of range.
            CheckpointError: If a kept state is damaged, of another training, or not to be resumed.
            CountsError: If the counts are not counts.
            GeneMismatchError: If genes of the model are missing.
            NamesError: If sample or gene names are missing or repeated, or new samples are among the old.
            TrainingError: If there are too few new samples.

        Example:
            >>> from pydgd.data import simulate_cohort
            >>> normals = simulate_cohort(n_tissues=3, n_per_tissue=30, n_genes=200, seed=0).normals
            >>> new = normals.obs["tissue"] == normals.obs["tissue"].iloc[-1]
            >>> model = DGD.fit(normals[~new], latent_dim=4, epochs=5)
            >>> model.fine_tune(normals[new], epochs=5)
            DGD(... 8 latent dimensions, 3 components, ... training samples)
        """
        config = fine_tuning_config(self.record, **options)
        new = Samples.of(as_counts(data, sample_names=sample_names, genes=genes), self.genes, config)
        old = None if replay is None else Samples.of(as_counts(replay), self.genes, config)
        new.check_new(self.record.sample_names if old is None else old.counts.sample_names)
        record = fine_tuned(
            self.record,
            new,
            config,
            replay=old,
            more_dimensions=more_dimensions,
            more_components=more_components,
            progress=progress,
            checkpoints=checkpoints,
        )
        return DGD(record)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to one file (safetensors; no code inside), replacing what is there.

        Raises:
            OutputError: If the file cannot be written.
        """
        self.record = save_model(self.record, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "DGD":
        """Read a model that `save` wrote, or one that goes by a name; nothing in the file is executed.

        Args:
            path: The file, or a name: ``normal-tissues`` comes with PyDGD, others are what
                ``pydgd models fetch`` has fetched. A file of that name goes before the name.

        Raises:
            ModelFileError: If the file is missing, damaged, not a model or of a newer version.

        Example:
            >>> DGD.load("normal-tissues").labels.nunique()
            15
        """
        return cls(load_model(find_model(path)))

    @classmethod
    def from_bulkdgd(cls, source: str | PathLike[str], **files: Any) -> "DGD":  # noqa: ANN401
        """Import a model that bulkdgd 1 or 2 trained; nothing in its files is executed.

        It gives the same means, r and densities. It has no calibration: p-values are those of the negative
        binomial, and flags that need healthy samples held out are missing.

        Args:
            source: The model's YAML, or a folder with ``config_model.yaml`` or ``model.yaml``.
            **files: `decoder`, `mixture`, `genes`, `representations`, `label_key` and `release` of
                `pydgd.checkpoints.read_bulkdgd`.

        Raises:
            ModelFileError: If a file is missing or damaged, or the files do not fit each other.
        """
        record = read_bulkdgd(source, **files)
        known = replace(record, provenance={**record.provenance, "versions": versions()})
        return cls(with_content_hash(known))

    def to_bulkdgd(self, folder: str | PathLike[str], *, release: int = 2) -> list[Path]:
        """Write files that bulkdgd reads: ``model.yaml``, ``dec.pth``, ``gmm.pth``, ``genes.txt`` and more.

        Args:
            folder: Made if it is not there; files of these names are replaced.
            release: 1 or 2 of bulkdgd.

        Returns:
            The files.

        Raises:
            ConfigError: If that release cannot represent the model; `fit` makes one that release 2 can with
                ``scaling="mean"`` and hidden layers of ``relu`` or ``elu``.
            OutputError: If a file cannot be written.
        """
        return write_bulkdgd(self.record, folder, release=release)

    def closest_normal(
        self,
        query: AnnData | pd.DataFrame | AnyMatrix,
        *,
        sample_names: Iterable[str] | None = None,
        genes: Iterable[str] | None = None,
        point: str = "posterior",
        min_shared: float = 0.5,
        likelihood: str | None = None,
        scaling: str | None = None,
        options: SearchOptions | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ClosestNormal:
        """Find what each sample would look like if it were healthy.

        Args:
            query: Counts, samples × genes; genes are matched by name, missing ones are masked. A NumPy array
                or SciPy sparse matrix needs both kinds of names.
            sample_names: Names of the rows of an array.
            genes: Names of the columns of an array.
            point: ``posterior``, or ``map`` for the decoded most probable representation (see `POINTS`); the
                latter also where the model was trained without healthy samples held out.
            min_shared: Share of the model's genes that the query must have.
            likelihood: ``contaminated`` lets one gene in a hundred have any number of reads, so that aberrant
                genes do not pull; ``plain``, the default, is the model's own.
            scaling: ``fitted`` finds each sample's scaling factor with its representation; ``model``, the
                default, takes the model's rule.
            options: How hard to search; the two arguments above overrule it.
            progress: Called with samples done and samples in all.

        Returns:
            Representations, expected reads, dispersion and fit of each sample, in the query's order.

        Raises:
            ConfigError: If `point`, `likelihood` or `scaling` is unknown.
            CountsError: If the counts are not counts.
            GeneMismatchError: If too few genes are shared.
            NamesError: If sample or gene names are missing or repeated.
            TooLargeError: If memory does not hold the counts of all samples and the model's genes.
        """
        how = self._how(point, options, likelihood=likelihood, scaling=scaling)
        counts = as_counts(query, sample_names=sample_names, genes=genes)
        aligned = align_to_genes(counts, self.genes, min_shared=min_shared)
        return closest_normal(self.record.model, aligned, progress=progress, **how)

    def closest_normal_chunks(
        self,
        query: AnnData | pd.DataFrame | AnyMatrix | CountRows,
        *,
        chunk_size: int | None = None,
        sample_names: Iterable[str] | None = None,
        genes: Iterable[str] | None = None,
        point: str = "posterior",
        min_shared: float = 0.5,
        likelihood: str | None = None,
        scaling: str | None = None,
        options: SearchOptions | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[ClosestNormal]:
        """Find closest normals of any number of samples, some at a time, so that memory does not grow.

        All names and counts are checked before the first search. Put together, the chunks are to the bit what
        `closest_normal` returns; the other arguments and errors are its.

        Args:
            query: Counts, samples × genes. Those of a backed AnnData stay on the disk.
            chunk_size: Samples at a time; by default as many as take an eighth of the available memory, at
                least 8 and at most 64.
            sample_names: As in `closest_normal`, like all that follow.
            genes: Names of the columns of an array.
            point: ``posterior`` or ``map``.
            min_shared: Share of the model's genes that the query must have.
            likelihood: ``plain`` or ``contaminated``.
            scaling: ``model`` or ``fitted``.
            options: How hard to search.
            progress: Called with samples done and samples in all.

        Returns:
            An iterator over the closest normals of consecutive samples.

        Raises:
            ConfigError: If `chunk_size` is not a whole number of at least 1, or an option is unknown.

        Example:
            >>> from pydgd import differential_expression
            >>> from pydgd.data import simulate_cohort
            >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
            >>> model, cases = DGD.fit(cohort.normals, latent_dim=4, epochs=5), cohort.cases
            >>> for normal in model.closest_normal_chunks(cases, chunk_size=16):
            ...     table = differential_expression(cases[list(normal.sample_names)], normal)
            >>> table["sample"].nunique()
            16
        """
        how = self._how(point, options, likelihood=likelihood, scaling=scaling)
        counts = count_rows(query, sample_names=sample_names, genes=genes)
        match = match_genes(counts.labels, self.genes, min_shared=min_shared)
        return closest_normal_chunks(
            self.record.model, counts, match, chunk_size=chunk_size, progress=progress, **how
        )

    def impute(
        self,
        query: AnnData | pd.DataFrame | AnyMatrix,
        *,
        targets: str | Iterable[str] = "missing",
        level: float = 0.9,
        **search: Any,  # noqa: ANN401  # checked by closest_normal
    ) -> AnnData:
        """Expected reads of genes that the query lacks, at its depth, with intervals for the reads.

        Args:
            query: Counts, samples × genes, as in `closest_normal`.
            targets: ``missing`` for the model's genes that the query lacks, ``all``, or names of genes.
            level: Share of healthy samples whose reads lie in the interval.
            **search: Other arguments of `closest_normal`.

        Returns:
            Samples × genes with ``layers["mean"]`` (also X), ``layers["lower"]`` and ``layers["upper"]``.
            Without calibration, or with ``point="map"``, intervals leave out how surely the mean is known.

        Raises:
            ConfigError: If `level` is not between 0 and 1, or `targets` is unknown or names no gene.
            GeneMismatchError: If the model lacks a gene, or too few genes are shared.

        Example:
            >>> from pydgd.data import simulate_cohort
            >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
            >>> model = DGD.fit(cohort.normals, latent_dim=4, epochs=5)
            >>> found = model.impute(cohort.cases[:, :150], targets=model.genes[-3:])
            >>> found.shape == (cohort.cases.n_obs, 3), sorted(found.layers)
            (True, ['lower', 'mean', 'upper'])
        """
        wanted = checked_targets(targets, level=level, genes=self.genes)
        return imputed(self.closest_normal(query, **search), targets=wanted, level=level)

    @cached_property
    def _posterior(self) -> Posterior | None:
        return Posterior.calibrated(self.record)

    def posterior(self, point: str) -> Posterior | None:
        """What makes a point of the most probable one.

        Args:
            point: One of `POINTS`.

        Returns:
            None if nothing does: for ``map``, and without calibration.
        """
        return self._posterior if point == "posterior" else None

    def _how(self, point: str, options: SearchOptions | None, **asked: str | None) -> dict[str, Any]:
        """What decides the answers to a query, for the search and for its record."""
        check_point(point)
        return {
            "options": overruled(options, **asked),
            "flags": self.fit_flags,
            "posterior": self.posterior(point),
            "provenance": {"model_sha256": self.record.content_hash, "versions": versions()},
        }

    @property
    def genes(self) -> tuple[str, ...]:
        """Names of the modelled genes, in the model's order."""
        return self.record.model.genes

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch of the training."""
        return self.record.history

    @property
    def representations(self) -> pd.DataFrame:
        """Positions of the training samples in the latent space, samples × dimensions."""
        values = self.record.representations.numpy()
        names = [f"z{i}" for i in range(1, values.shape[1] + 1)]
        return pd.DataFrame(values, index=pd.Index(self.record.sample_names), columns=names)

    @property
    def labels(self) -> pd.Series | None:
        """What describes each training sample (its tissue), if that was known."""
        if self.record.labels is None:
            return None
        return pd.Series(self.record.labels, index=pd.Index(self.record.sample_names), name="label")

    @cached_property
    def fit_flags(self) -> FitFlags:
        """What says of a query's fit whether it is that of a healthy sample, with its thresholds."""
        return FitFlags(TrainingSamples.of(self.record), self.record.reference)

    @property
    def provenance(self) -> dict[str, Any]:
        """Numbers of samples and genes, options, versions and content hash."""
        record = self.record
        return {**record.provenance, "options": record.options, "sha256": record.content_hash}

    def get_latent_representation(
        self,
        query: AnnData | pd.DataFrame | AnyMatrix,
        **search: Any,  # noqa: ANN401  # checked by closest_normal
    ) -> np.ndarray:
        """Representations of a query, (N, D); scvi-tools' name.

        Args:
            query: As in `closest_normal`.
            **search: Its other arguments, such as `sample_names` and `genes` of an array.
        """
        return self.closest_normal(query, **search).representations

    def get_normalized_expression(
        self,
        query: AnnData | pd.DataFrame | AnyMatrix,
        **search: Any,  # noqa: ANN401
    ) -> pd.DataFrame:
        """Expected reads per unit of the scaling factor, samples × genes (scvi-tools' name).

        Args:
            query: As in `closest_normal`.
            **search: Its other arguments.
        """
        normal = self.closest_normal(query, **search)
        means = normal.means / normal.scaling_factors[:, None]
        return pd.DataFrame(means, index=pd.Index(normal.sample_names), columns=pd.Index(normal.genes))

    def __repr__(self) -> str:
        model = self.record.model
        return (
            f"DGD({len(self.genes):,} genes, {model.decoder.latent_dim} latent dimensions, "
            f"{model.prior.n_components} components, {len(self.record.sample_names):,} training samples)"
        )
