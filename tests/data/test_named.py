# SPDX-License-Identifier: BSD-3-Clause
"""Models that go by a name: what a name means, what goes before it, and what is said of others."""

import logging
from pathlib import Path

import pytest

from pydgd import DGD
from pydgd.data.named import SHIPPED, fetched_folder, find_model, is_model_name, named_models
from pydgd.errors import ConfigError, ModelFileError

NAME = "normal-tissues"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and an empty cache."""
    monkeypatch.setenv("PYDGD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_a_name_means_the_model_that_comes_with_the_package() -> None:
    assert find_model(NAME) == find_model(Path(NAME)) == SHIPPED / f"{NAME}.dgd"
    assert is_model_name(NAME)
    assert DGD.load(NAME).provenance["sha256"] == DGD.load(SHIPPED / f"{NAME}.dgd").provenance["sha256"]


def test_a_file_of_the_name_goes_before_it_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Path(NAME).write_text("another file")
    with caplog.at_level(logging.WARNING):
        assert find_model(NAME) == Path(NAME)
    assert "the file of this name is read, not the model that comes with PyDGD" in caplog.text
    assert not is_model_name(NAME)
    with pytest.raises(ModelFileError, match=f"{NAME} is not a PyDGD model"):
        DGD.load(NAME)


def test_a_folder_of_the_name_is_no_model() -> None:
    """`pydgd demo -o normal-tissues` may have made one."""
    Path(NAME).mkdir()
    assert find_model(NAME) == SHIPPED / f"{NAME}.dgd"


def test_a_model_in_the_cache_has_its_name_but_never_that_of_one_that_comes_along() -> None:
    fetched_folder().mkdir(parents=True)
    for name in ("mine", NAME):
        (fetched_folder() / f"{name}.dgd").write_text("")
    assert find_model("mine") == fetched_folder() / "mine.dgd"
    assert named_models()[NAME].parent == SHIPPED


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("normal-tisues", True),
        ("normal_tissues.dgd", True),
        ("folder/Normal-tissues.dgd", True),
        ("x", False),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(given: str, meant: bool) -> None:
    with pytest.raises(ModelFileError, match=rf"{given} does not exist; give a model file") as caught:
        DGD.load(given)
    assert f"or the name of a model ({NAME})" in str(caught.value)
    assert (f"did you mean {NAME}?" in str(caught.value)) is meant


def test_what_is_no_file_is_left_to_the_reader() -> None:
    Path("folder").mkdir()
    with pytest.raises(ModelFileError, match="folder is not an ordinary file"):
        DGD.load("folder")


def test_an_absolute_path_beside_a_model_is_no_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("m", "m.dgd"):
        (tmp_path / name).write_text("")
    assert find_model(tmp_path / "m") == tmp_path / "m"
    assert caplog.text == ""


def test_without_a_home_what_comes_along_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """And downloads say what is missing."""
    for name in ("PYDGD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert find_model(NAME) == SHIPPED / f"{NAME}.dgd"
    assert list(named_models()) == [NAME]
    with pytest.raises(ModelFileError, match="x does not exist"):
        find_model("x")
    with pytest.raises(ConfigError, match=r"HOME is not set.*; set PYDGD_CACHE to a folder"):
        fetched_folder()
