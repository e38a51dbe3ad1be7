# SPDX-License-Identifier: BSD-3-Clause
"""Where recount3 keeps the files of a project.

Source:
    The project's own description of its raw files, and Wilks et al. (2021), Genome Biology 22:323.
"""

import re
from dataclasses import dataclass

from pydgd.errors import ConfigError

MIRROR = "http://duffel.rail.bio/recount3"
"""The project's own server, which sends requests on to one that has room."""

SOURCES = ("gtex", "tcga", "sra")
"""Where samples come from."""

ANNOTATIONS = {
    "gencode_v26": "G026",
    "gencode_v29": "G029",
    "fantom6_cat": "F006",
    "refseq": "R109",
    "ercc": "ERCC",
    "sirv": "SIRV",
    "gencode_v23": "M023",
}
"""Annotation → the code in file names; the last one is of the mouse."""

ORGANISMS = ("human", "mouse")
QC = "recount_qc"
METADATA = ("recount_project", QC, "recount_seq_qc", "recount_pred")
"""Tables of metadata besides the source's own."""

_CODE = re.compile(r"[A-Z]\d{3}|ERCC|SIRV")
_PROJECT = re.compile(r"[A-Z][A-Z0-9_-]+")


def annotation_code(annotation: str) -> str:
    """The code of an annotation in file names.

    Args:
        annotation: A key of `ANNOTATIONS`, the number of a GENCODE release (``"26"``, ``"29"``), or a code.

    Raises:
        ConfigError: If it is none of these.

    Example:
        >>> annotation_code("gencode_v29"), annotation_code("26"), annotation_code("R109")
        ('G029', 'G026', 'R109')
    """
    name = annotation.strip().lower()
    code = ANNOTATIONS.get(name) or ANNOTATIONS.get(f"gencode_v{name.removeprefix('v')}")
    if code is None and not _CODE.fullmatch(annotation):
        raise ConfigError(
            f"unknown annotation {annotation!r}; give one of {', '.join(ANNOTATIONS)}, or a code such as G029"
        )
    return code or annotation


@dataclass(frozen=True)
class Project:
    """A project of recount3: a tissue of GTEx, a cancer of TCGA, or a study of SRA.

    Attributes:
        source: One of `SOURCES`.
        name: E.g. ``"BLADDER"``, ``"BRCA"``, ``"SRP009615"``.
        organism: One of `ORGANISMS`.
    """

    source: str
    name: str
    organism: str = "human"

    @classmethod
    def of(cls, source: str, name: str, *, organism: str = "human") -> "Project":
        """A project by names in any capitals; blanks in a tissue's name become underscores.

        Args:
            source: ``"gtex"``, ``"tcga"`` or ``"sra"``.
            name: Tissue, cancer or study.
            organism: ``"human"`` or ``"mouse"``, of which only SRA has samples.

        Raises:
            ConfigError: If there can be no such project.

        Example:
            >>> Project.of("GTEx", "blood vessel")
            Project(source='gtex', name='BLOOD_VESSEL', organism='human')
        """
        home, project = source.strip().lower(), re.sub(r"\s+", "_", name.strip()).upper()
        if home not in SOURCES:
            raise ConfigError(f"unknown source {source!r}; recount3 has {', '.join(SOURCES)}")
        if organism not in ORGANISMS or (organism == "mouse" and home != "sra"):
            raise ConfigError(f"no samples of {organism!r} in {home}; there is human, and mouse in sra")
        if not _PROJECT.fullmatch(project):
            raise ConfigError(
                f"{name!r} cannot be a project of recount3; give a tissue (BLADDER), a cancer (BRCA) or a "
                "study (SRP009615)"
            )
        return cls(home, project, organism)

    def __str__(self) -> str:
        return f"{self.source} {self.name}"

    def gene_sums(self, code: str) -> str:
        """Path of the sums of base coverage by gene, below the mirror's address.

        Args:
            code: Of the annotation.

        Example:
            >>> Project("sra", "SRP009615").gene_sums("G029")
            'human/data_sources/sra/gene_sums/15/SRP009615/sra.gene_sums.SRP009615.G029.gz'
        """
        return f"{self._folder('gene_sums')}/{self.source}.gene_sums.{self.name}.{code}.gz"

    def metadata(self, table: str) -> str:
        """Path of a table of metadata.

        Args:
            table: The source itself or one of `METADATA`.

        Example:
            >>> Project("gtex", "BLADDER").metadata("gtex")
            'human/data_sources/gtex/metadata/ER/BLADDER/gtex.gtex.BLADDER.MD.gz'
        """
        return f"{self._folder('metadata')}/{self.source}.{table}.{self.name}.MD.gz"

    def _folder(self, what: str) -> str:
        return f"{self.organism}/data_sources/{self.source}/{what}/{self.name[-2:]}/{self.name}"
