"""Samplesheets of several projects."""

from pathlib import Path

import pytest

from pydgd.data.recount3 import Project, Request, read_batches
from pydgd.errors import ConfigError, FileFormatError


def read(tmp_path: Path, name: str, text: str) -> list[Request]:
    (tmp_path / name).write_text(text)
    return read_batches(tmp_path / name)


def test_csv_with_our_columns(tmp_path: Path) -> None:
    text = "source,project,annotation,query,keep,drop\n"
    text += "gtex,blood vessel,G026,smrin > 5,a|b,_all_\ntcga,brca,,,,\n"
    assert read(tmp_path, "sheet.csv", text) == [
        Request(Project("gtex", "BLOOD_VESSEL"), "G026", "smrin > 5", ("a", "b"), ("_all_",)),
        Request(Project("tcga", "BRCA")),
    ]


def test_csv_of_bulkdgd(tmp_path: Path) -> None:
    text = "recount3_project_name,recount3_samples_category,query_string,metadata_to_keep,metadata_to_drop\n"
    text += "GTEx,LUNG,,_all_,x\n"
    assert read(tmp_path, "sheet.csv", text) == [
        Request(Project("gtex", "LUNG"), keep=("_all_",), drop=("x",))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "- {source: SRA, project: srp1, organism: mouse, keep: [a, b]}",
        "first: {project_name: sra, samples_category: SRP1, organism: mouse, metadata_to_keep: a|b}",
    ],
)
def test_yaml_list_or_mapping(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "sheet.yaml", text) == [Request(Project("sra", "SRP1", "mouse"), keep=("a", "b"))]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("sheet.csv", "source,project\n", "lists no project"),
        ("sheet.csv", "source,project\ngtex,\n", "row 1 lacks project"),
        ("sheet.csv", "source,project,tissue\ngtex,LUNG,lung\n", "row 1 has 'tissue', which is unknown"),
        ("sheet.csv", "source,project\ngtex,LUNG\ngtex,lung\n", "gtex LUNG comes more than once"),
        ("sheet.yaml", "- {source: encode, project: LUNG}", "entry 1: unknown source 'encode'"),
        ("sheet.yaml", "- LUNG", "entry 1 is 'LUNG'"),
        ("sheet.yaml", "[", "no valid YAML"),
        ("sheet.yaml", "- {source: gtex, project: LUNG, query: none.txt}", "the query's file"),
        ("sheet.yaml", "!!python/object/apply:os.getcwd []", "no valid YAML"),
    ],
)
def test_bad_sheet_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises((ConfigError, FileFormatError), match=says) as caught:
        read(tmp_path, name, text)
    assert str(tmp_path / name) in str(caught.value)
