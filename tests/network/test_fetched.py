# SPDX-License-Identifier: BSD-3-Clause
"""Models from the network: only by https, only with the right checksum, whole or not at all."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from pydgd import DGD
from pydgd.checkpoints import fetched
from pydgd.checkpoints.fetched import fetch_model
from pydgd.cli import main
from pydgd.data import simulate_cohort
from pydgd.errors import ConfigError, DownloadError, ModelFileError, OutputError

PATH = "/models/liver-1.dgd"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model's file."""
    path = tmp_path_factory.mktemp("model") / "m.dgd"
    DGD.fit(simulate_cohort(n_tissues=2, n_per_tissue=15, n_genes=60).normals, latent_dim=2, epochs=2).save(
        path
    )
    return path.read_bytes()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the server of the tests speaks http."""
    monkeypatch.setenv("PYDGD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetched, "_SCHEMES", ("http",))
    return tmp_path / "cache" / "models"


def checksum(content: bytes) -> str:
    return sha256(content).hexdigest()


def test_a_model_is_kept_under_its_name_and_fetched_once(server, cache: Path, content: bytes) -> None:
    server.files[PATH] = content
    for _ in range(2):
        assert fetch_model(server.url + PATH, checksum(content).upper()) == cache / "liver-1.dgd"
    assert server.n_asked(PATH) == 1
    assert [path.name for path in cache.iterdir()] == ["liver-1.dgd"]
    assert len(DGD.load("liver-1").genes) > 0


def test_the_command_says_the_name(server, cache: Path, content: bytes, capfd) -> None:
    server.files[PATH] = content
    arguments = ["models", "fetch", server.url + PATH, "--sha256", checksum(content), "--name", "mine"]
    assert main(arguments) == 0
    assert "its name is mine" in capfd.readouterr().err
    assert (cache / "mine.dgd").read_bytes() == content


def test_another_checksum_keeps_nothing_and_asks_once(server, cache: Path, content: bytes) -> None:
    server.files[PATH] = content
    with pytest.raises(
        DownloadError, match=f"has the SHA-256 {checksum(content)}, not {'0' * 64}; nothing was"
    ):
        fetch_model(server.url + PATH, "0" * 64)
    assert server.n_asked(PATH) == 1
    assert list(cache.iterdir()) == []


def test_what_is_no_model_is_not_kept(server, cache: Path) -> None:
    server.files[PATH] = b"a page"
    with pytest.raises(ModelFileError, match="not a PyDGD model"):
        fetch_model(server.url + PATH, checksum(b"a page"))
    assert list(cache.iterdir()) == []


def test_a_broken_connection_is_tried_again(server, cache: Path, content: bytes) -> None:
    server.files[PATH] = content
    server.faults[PATH] = ["cut 1000"]
    assert fetch_model(server.url + PATH, checksum(content)).read_bytes() == content
    assert cache.is_dir()


def test_what_does_not_end_is_not_awaited(server, cache: Path, content: bytes, monkeypatch) -> None:
    """The server says no length."""
    monkeypatch.setattr(fetched, "_MOST_BYTES", len(content) - 1)
    server.files[PATH] = content
    server.faults[PATH] = [f"short {len(content)}"]
    with pytest.raises(DownloadError, match=f"more than {len(content) - 1:,} bytes come"):
        fetch_model(server.url + PATH, checksum(content))
    assert server.n_asked(PATH) == 1
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "sha", "name", "words"),
    [
        ("http://a.org/m.dgd", "0" * 64, None, "https only"),
        ("file:///etc/passwd", "0" * 64, None, "https only"),
        ("https:///m.dgd", "0" * 64, None, "https only"),
        ("https://a.org/m.dgd", "0" * 63, None, "is no SHA-256"),
        ("https://a.org/..", "0" * 64, None, "cannot be the name of a model"),
        ("https://a.org/m.dgd", "0" * 64, "../m", "cannot be the name of a model"),
        ("https://a.org/normal-tissues.dgd", "0" * 64, None, "comes with PyDGD"),
    ],
)
def test_what_will_not_do_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, sha: str, name: str | None, words: str
) -> None:
    monkeypatch.setenv("PYDGD_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match=words):
        fetch_model(url, sha, name=name)
    assert not (tmp_path / "cache").exists()


def test_a_name_that_another_model_has_is_refused(server, cache: Path, content: bytes) -> None:
    cache.mkdir(parents=True)
    (cache / "liver-1.dgd").write_text("another")
    with pytest.raises(ConfigError, match=r"is another model already, or .*liver-1.dgd is damaged.*delete"):
        fetch_model(server.url + PATH, checksum(content))
    assert (cache / "liver-1.dgd").read_text() == "another"


def test_what_a_killed_run_left_goes_at_the_next_fetch(server, cache: Path, content: bytes) -> None:
    """But not what another run is fetching."""
    server.files[PATH] = content
    old, new = cache / ".fetching-old", cache / ".fetching-new"
    for folder in (old, new):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "m.part").write_text("some of it")
    for path in (*old.rglob("*"), old, new):
        os.utime(path, (0, 0))
    fetch_model(server.url + PATH, checksum(content))
    assert {path.name for path in cache.iterdir()} == {".fetching-new", "liver-1.dgd"}


def test_a_cache_that_cannot_be_written_to_is_named(server, cache: Path, content: bytes) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="set PYDGD_CACHE"):
        fetch_model(server.url + PATH, checksum(content))
