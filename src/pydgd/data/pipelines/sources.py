# SPDX-License-Identifier: BSD-3-Clause
"""The files that a path means: one file, those of a folder, or those that a pattern matches."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from pydgd.data.formats import OPENERS, detect_format
from pydgd.data.pipelines.lines import head
from pydgd.data.pipelines.recognise import (
    BESIDE,
    FAMILIES,
    PER_SAMPLE,
    family_of,
    promised_family,
    sample_name,
)
from pydgd.errors import FileFormatError, NamesError

_WILDCARDS = re.compile(r"[*?\[]")
# Alignments, junctions, logs and reports that the same programs leave; not worth unpacking.
_NEVER_COUNTS = re.compile(
    r"(\.(bam|bai|cram|sam|h5|json|log|html|pdf|md5|fa|fasta|fastq|fq|gtf|bed|bw)|SJ\.out\.tab)(\.gz)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Source:
    """One file of text.

    Attributes:
        path: The file.
        kind: As `detect_format` says.
        family: As `family_of` says.
    """

    path: Path
    kind: str
    family: str | None

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Look at a file.

        Args:
            path: The file.

        Raises:
            FileFormatError: If it cannot be read, or is not what its name says.
        """
        kind = detect_format(path)
        family = family_of(head(path, kind)) if kind in OPENERS else None
        promised = promised_family(path.name)
        if promised is not None and family != promised:
            found = FAMILIES.get(family or "", "something else by its first line")
            raise FileFormatError(
                f"{path}: by its name this should be {FAMILIES[promised]}, but it is {found}; give the "
                "file as the program wrote it, or rename it"
            )
        return cls(path, kind, family)

    @property
    def sample(self) -> str:
        """What its sample is called."""
        return sample_name(self.path.name, self.path.resolve().parent.name)


def is_pattern(path: Path) -> bool:
    """Whether a path stands for several files.

    Args:
        path: With ``*``, ``?`` or ``[…]`` in it, unless there is a file of just that name.

    Example:
        >>> is_pattern(Path("star/*.tab")), is_pattern(Path("star/S1.tab"))
        (True, False)
    """
    return _WILDCARDS.search(str(path)) is not None and not path.exists()


def find_sources(path: Path, *, transcripts: bool) -> list[Source]:
    """The files of one kind, one for each sample, in a folder or matched by a pattern.

    A folder is searched with its subfolders and theirs, as salmon, kallisto and GDC write one for each
    sample. Other files there are left alone, unless they end like samples whose names promise nothing.

    Args:
        path: A folder or a pattern.
        transcripts: Which of salmon's two files to take where both are there.

    Returns:
        Sorted by path.

    Raises:
        FileFormatError: If there are none, they are of several kinds, or one is empty or damaged.
        NamesError: If two bear one sample's name.
    """
    if is_pattern(path):
        matched = sorted(glob(str(path)))  # noqa: PTH207  # Path.glob takes no whole path
        found = [Source.of(Path(file)) for file in matched if not _NEVER_COUNTS.search(file)]
        known = [source for source in found if source.family in PER_SAMPLE]
        strays = [source.path for source in found if source.family not in (*PER_SAMPLE, *BESIDE)]
    else:
        known, strays = _in_folder(path)
    if strays:
        # Files that are empty, damaged or not UTF-8 have a message of their own.
        Source.of(strays[0])
        raise FileFormatError(
            f"{strays[0]}: not a file that a counting program wrote for one sample, as others of {path} are; "
            "move it away, or give a pattern of the files to read, such as 'folder/*.tab'"
        )
    if not known:
        raise FileFormatError(f"{path}: {_nothing(path)}")
    return _of_one_kind(_one_level(known, transcripts=transcripts), path)


def _in_folder(folder: Path) -> tuple[list[Source], list[Path]]:
    """Files of known kinds, and those that only look like them."""
    known, others = [], []
    for path in sorted(_files_in(folder)):
        source = _looked_into(path)
        if source is not None and source.family in PER_SAMPLE:
            known.append(source)
        elif source is None or source.family not in BESIDE:
            others.append(path)
    # A damaged sample whose name promises one was refused above.
    ends = {_end(source.path) for source in known if promised_family(source.path.name) is None}
    return known, [path for path in others if _end(path) in ends]


def _files_in(folder: Path) -> Iterable[Path]:
    for depth in ("*", "*/*", "*/*/*"):
        for path in folder.glob(depth):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and not hidden and not _NEVER_COUNTS.search(path.name):
                yield path


def _looked_into(path: Path) -> Source | None:
    """What a file is, if that can be told; a damaged one is an error, lest a sample be missed."""
    try:
        return Source.of(path)
    except FileFormatError as error:
        if promised_family(path.name) is not None or "truncated or damaged" in str(error):
            raise
        return None


def _end(path: Path) -> str:
    """The end of a file's name: with that of another, they are files of one kind."""
    return Path(re.sub(r"\.(gz|xz|bz2)$", "", path.name)).suffix


def _one_level(sources: list[Source], *, transcripts: bool) -> list[Source]:
    """Of salmon's two files for a sample, that of transcripts or that of genes."""
    genes = {source for source in sources if "quant.genes.sf" in source.path.name}
    if not genes or len(genes) == len(sources):
        return sources
    return [source for source in sources if (source not in genes) == transcripts]


def _of_one_kind(sources: list[Source], path: Path) -> list[Source]:
    first = sources[0]
    other = next((source for source in sources if source.family != first.family), None)
    if other is not None:
        raise FileFormatError(
            f"{path}: files of two kinds: {first.path.name} is {FAMILIES[first.family or '']}, "
            f"{other.path.name} is {FAMILIES[other.family or '']}; give a folder or pattern of one kind"
        )
    if first.family == "featurecounts":
        return sources
    seen: dict[str, Path] = {}
    for source in sources:
        if source.sample in seen:
            raise NamesError(
                f"{path}: {seen[source.sample]} and {source.path} are both of sample {source.sample!r}; "
                "rename or move one"
            )
        seen[source.sample] = source.path
    return sources


def _nothing(path: Path) -> str:
    if is_pattern(path):
        return "no file of counts matches this pattern; check it, and put it in quotes"
    names = ", ".join(FAMILIES[family] for family in PER_SAMPLE)
    return (
        f"no counts in this folder; expected, for each sample, one of {names}; or once matrix.mtx with "
        "features.tsv and barcodes.tsv. A single table is given by the file's own name"
    )
