# SPDX-License-Identifier: BSD-3-Clause
"""Where a page's numbers come from, and what is known of the p-values in it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pydgd.checkpoints.versions import versions
from pydgd.dgd import DGD
from pydgd.report.samples import Samples
from pydgd.stats import CalibrationReport
from pydgd.stats.calibration_report import reads
from pydgd.words import plural

_NOT_SHOWN = "PIT density"
_SEARCH = ("point", "likelihood", "scaling")


def provenance(model: DGD, samples: Samples) -> dict[str, str]:
    """Names and values that let somebody else make the same page.

    Args:
        model: The trained model.
        samples: All samples of the page.
    """
    facts, options = model.provenance, model.provenance["options"]
    return {
        "model, SHA-256": str(facts["sha256"]),
        "counts, SHA-256": samples.counts_sha256,
        "samples": f"{len(samples.entries):,}",
        "genes of the model": f"{len(model.genes):,}",
        **_training(facts),
        "model": f"{options['output_module']}, {options['latent_dim']} latent dimensions, "
        f"{plural(model.record.model.prior.n_components, 'component')}",
        "closest normal": ", ".join(
            f"{name} {samples.search[name]}" for name in _SEARCH if name in samples.search
        ),
        "test": _settings(samples.settings),
        "versions now": _listed(versions()),
        f"versions at {'import' if 'imported_from' in facts else 'training'}": _listed(facts["versions"]),
    }


def _training(facts: Mapping[str, Any]) -> dict[str, str]:
    """How the model came about; files that were imported keep less of it."""
    if "imported_from" in facts:
        return {"trained": f"by {facts['imported_from']}, imported"}
    return {
        "trained on": f"{plural(facts['n_training_samples'], 'healthy sample')}, "
        f"{facts['n_held_out_samples']:,} more held out",
        "training seed": str(facts["options"]["seed"]),
    }


def calibration_in_words(model: DGD, report: CalibrationReport | None) -> list[str]:
    """What is known of the p-values, a sentence each.

    Args:
        model: The trained model.
        report: Of healthy samples, if there is one.
    """
    held_out = plural(model.provenance["n_held_out_samples"], "healthy sample")
    if "imported_from" in model.provenance:
        known = (
            "The p-values are those of the negative binomial (or the Poisson distribution): the model was "
            f"trained by {model.provenance['imported_from']}, which calibrates none, so they may promise too "
            "much."
        )
    elif model.record.calibration is None:
        known = (
            "The p-values are those of the negative binomial: the model was trained with too few healthy "
            "samples held out to calibrate them, so they may promise too much."
        )
    else:
        known = (
            f"The p-values are calibrated: they say how rare a residual is among {held_out} that training "
            "did not see."
        )
    if report is None:
        return [known, "How they behave on further healthy samples was not measured for this page."]
    problems = report.problems()
    where = f"on {plural(report.n_samples, 'further healthy sample')}, where all calls are false"
    return [known, f"They were checked {where}: {'; '.join(problems) or 'they look right'}."]


def calibration_table(report: CalibrationReport) -> pd.DataFrame:
    """The numbers of a calibration report, a column for each kind of p-values.

    Args:
        report: Of healthy samples.

    Returns:
        Texts: measure, genes, level, and the kinds.
    """
    table = report.table()
    table = table[~table["measure"].str.startswith(_NOT_SHOWN)]
    table["level"] = table["level"].map("{:g}".format).replace("nan", "")
    wide = table.pivot(index=["measure", "genes", "level"], columns="p_values", values="value")
    order = pd.MultiIndex.from_frame(table[["measure", "genes", "level"]].drop_duplicates())
    return wide.reindex(order)[report.kinds].map(reads).reset_index()


def _settings(settings: Mapping[Any, Any]) -> str:
    return f"{settings['rule']}, {settings['adjust'].upper()} over the genes of each sample"


def _listed(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())
