# SPDX-License-Identifier: BSD-3-Clause
"""From the files of any counting program to counts that are not yet checked."""

from collections.abc import Callable, Sequence

from pydgd.data.counts import Parts
from pydgd.data.pipelines.htseq import read_htseq
from pydgd.data.pipelines.quantification import read_kallisto, read_rsem, read_salmon
from pydgd.data.pipelines.sources import Source
from pydgd.data.pipelines.star import read_gdc, read_star
from pydgd.data.pipelines.wide import read_featurecounts, read_gct, read_recount3
from pydgd.data.reading import ReadOptions
from pydgd.errors import FileFormatError

_READERS: dict[str, Callable[[Sequence[Source], ReadOptions], Parts]] = {
    "featurecounts": read_featurecounts,
    "gct": read_gct,
    "gdc": read_gdc,
    "htseq": read_htseq,
    "kallisto": read_kallisto,
    "recount3": read_recount3,
    "rsem": read_rsem,
    "salmon": read_salmon,
    "star": read_star,
}
_NO_COUNTS = {
    "isoforms": "counts of isoforms; give RSEM's *.genes.results of the same sample",
    "mtx": "the matrix alone bears no names; give its folder, with features.tsv and barcodes.tsv",
    "summary": "what featureCounts says of its run, without counts; give the table beside it, without "
    ".summary",
}


def read_sources(sources: Sequence[Source], options: ReadOptions) -> Parts:
    """Read files of one family.

    Args:
        sources: At least one, all of one known family.
        options: What the caller said.

    Raises:
        FileFormatError: If a file is damaged, has other columns, or other genes than the first.
        CountsError: If a number is none.
        ConfigError: If an option is missing.
    """
    first = sources[0]
    family = first.family or ""
    if family in _NO_COUNTS:
        raise FileFormatError(f"{first.path}: {_NO_COUNTS[family]}")
    return _READERS[family](sources, options)
