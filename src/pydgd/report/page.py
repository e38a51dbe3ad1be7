# SPDX-License-Identifier: BSD-3-Clause
"""The page itself: a template, a style, a script and the data, in one text."""

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from pydgd.dgd import DGD
from pydgd.plotting.palette import NEITHER, label_styles
from pydgd.plotting.projection import Plane
from pydgd.report.provenance import calibration_in_words, calibration_table, provenance
from pydgd.report.samples import COLUMNS, SampleEntry, Samples, Thresholds
from pydgd.stats import CalibrationReport

_SCRIPTS = ("data.js", "plot.js", "table.js", "main.js")
_VERDICTS = {"close": "✓ yes", "far": "⚠ no", "unknown": "? not known"}


def page(
    model: DGD,
    samples: Samples,
    *,
    title: str,
    thresholds: Thresholds,
    calibration: CalibrationReport | None,
) -> str:
    """All of the page as text; every name in it is escaped.

    Args:
        model: The trained model.
        samples: What the page is about.
        title: Its heading.
        thresholds: What counts as a call when it opens.
        calibration: How p-values behave on healthy samples, if that was measured.
    """
    style, script = _asset("report.css"), _script()
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        style=style,
        script=script,
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        summary=_summary(samples.entries),
        sample_rows="\n".join(_row(number, entry) for number, entry in enumerate(samples.entries)),
        padj=f"{thresholds.padj:g}",
        log2fc=f"{thresholds.log2fc:g}",
        calibration=_paragraphs(calibration_in_words(model, calibration)) + _calibration_table(calibration),
        provenance=_definitions(provenance(model, samples)),
        data=_json(_data(model, samples)),
    )


def _script() -> str:
    parts = "\n".join(_asset(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _asset(name: str) -> str:
    return files("pydgd.report").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a content security policy knows an inline script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _json(data: dict[str, Any]) -> str:
    # Nothing in a name may end the element that holds the data.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )


def _data(model: DGD, samples: Samples) -> dict[str, Any]:
    return {
        "genes": list(model.genes),
        "columns": list(COLUMNS),
        "samples": [
            {
                "name": entry.name,
                "level": entry.verdict.level,
                "headline": entry.verdict.headline,
                "details": entry.verdict.details,
                "numbers": entry.numbers,
                "sets": _rows_of(entry.sets),
            }
            for entry in samples.entries
        ],
        "map": _map(model, samples.entries),
    }


def _map(model: DGD, entries: list[SampleEntry]) -> dict[str, Any]:
    """Healthy samples without their names: a page is passed on more readily than the data of a cohort."""
    train, labels = _landmarks(model)
    plane = Plane.pca(train)
    styles = {labels[0]: (NEITHER, "o")} if model.labels is None else label_styles(labels)
    codes = {label: code for code, label in enumerate(styles)}
    names = [
        f"PC {number}" + ("" if np.isnan(share) else f" ({100 * share:.0f} % of variance)")
        for number, share in enumerate(plane.shares, 1)
    ]
    return {
        "axes": names,
        "styles": [[label, colour, marker] for label, (colour, marker) in styles.items()],
        "labels": [codes[label] for label in labels],
        "healthy": plane.project(train).round(4).tolist(),
        "samples": plane.project(np.stack([entry.representation for entry in entries])).round(4).tolist(),
    }


def _landmarks(model: DGD) -> tuple[np.ndarray, list[str]]:
    """Places that the map is made of, and what each is."""
    train = model.representations.to_numpy(dtype=float)
    if model.labels is not None:
        return train, [str(label) for label in model.labels]
    if len(train):
        return train, ["healthy"] * len(train)
    # A model imported without its training samples.
    means = model.record.model.prior.means.detach().numpy().astype(float)
    return means, ["component of the mixture"] * len(means)


def _rows_of(sets: pd.DataFrame | None) -> list[list[Any]] | None:
    """A sample's gene sets: name, overlap, size, p, padj."""
    if sets is None:
        return None
    numbers = ["n_overlap", "n_genes", "pvalue", "padj"]
    return [
        [str(name), *row]
        for name, row in zip(sets["gene_set"], sets[numbers].to_numpy().tolist(), strict=True)
    ]


def _summary(entries: list[SampleEntry]) -> str:
    far = sum(entry.verdict.level == "far" for entry in entries)
    unknown = sum(entry.verdict.level == "unknown" for entry in entries)
    said = f"{len(entries):,} sample" + ("" if len(entries) == 1 else "s")
    if unknown:
        return f"{said}; which of them have a close normal is not known."
    return f"{said}; {far:,} without a close normal."


def _row(number: int, entry: SampleEntry) -> str:
    """One line of the list of samples."""
    button = f'<button type="button" data-sample="{number}">{escape(entry.name)}</button>'
    fit = entry.fit
    cells = [
        f'<td class="{entry.verdict.level}">{_VERDICTS[entry.verdict.level]}</td>',
        f"<td>{escape(entry.verdict.nearest)}</td>",
        *(_number(fit.get(name)) for name in ("dgd_misfit", "dgd_distance")),
        f'<td class="number">{entry.n_up:,}</td><td class="number">{entry.n_down:,}</td>',
    ]
    return f'<tr><th scope="row">{button}</th>{"".join(cells)}</tr>'


def _number(value: Any) -> str:  # noqa: ANN401  # may be missing in any way that pandas has
    return f'<td class="number">{"" if pd.isna(value) else format(value, ".3g")}</td>'


def _paragraphs(sentences: list[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _definitions(facts: dict[str, str]) -> str:
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())


def _calibration_table(report: CalibrationReport | None) -> str:
    if report is None:
        return ""
    table = calibration_table(report)
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>"
        for row in table.itertuples(index=False)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
