"""Files come whole, or an error says why; over real HTTP on this machine."""

import gzip
import json
import threading
import time
from email.message import Message
from pathlib import Path
from urllib.request import Request

import pytest

from pydgd.data.download import Downloads, Wanted
from pydgd.data.download_answers import SafeRedirects, check_gzip
from pydgd.errors import ConfigError, DownloadError

BODY = gzip.compress(bytes(range(256)) * 4_000, 0, mtime=0)
PATH = "/data/table.gz"


@pytest.fixture
def wanted(server) -> Wanted:
    server.files[PATH] = BODY
    return Wanted(server.url + PATH, check_gzip)


def test_file_is_kept_with_its_checksum_and_fetched_once(
    server, downloads: Downloads, wanted: Wanted
) -> None:
    path = downloads.fetch(wanted)
    assert path.read_bytes() == BODY
    record = json.loads(path.with_name("table.gz.json").read_text())
    assert record["size"] == len(BODY)
    assert downloads.fetch(wanted) == path
    assert server.n_asked(PATH) == 1
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "table.gz",
        "table.gz.json",
        "table.gz.lock",
    ]


def test_file_that_changed_on_the_disk_is_fetched_again(server, downloads: Downloads, wanted: Wanted) -> None:
    path = downloads.fetch(wanted)
    path.write_bytes(BODY[:-1] + b"x")
    assert downloads.fetch(wanted).read_bytes() == BODY
    assert server.n_asked(PATH) == 2


def test_refresh_fetches_again(server, tmp_path: Path, downloads: Downloads, wanted: Wanted) -> None:
    downloads.fetch(wanted)
    Downloads(downloads.folder, refresh=True).fetch(wanted)
    assert server.n_asked(PATH) == 2


@pytest.mark.parametrize(
    "fault", ["500", "502", "503", "504", "429", "408", "page", "short 5000", "cut 0", "slow 0.6"]
)
def test_what_passes_is_tried_again(server, tmp_path: Path, wanted: Wanted, fault: str) -> None:
    server.faults[PATH] = [fault]
    downloads = Downloads(tmp_path, timeout=0.3, attempts=2, first_wait=0.01)
    assert downloads.fetch(wanted).read_bytes() == BODY
    assert server.n_asked(PATH) == 2


def test_broken_connection_goes_on_where_it_broke(server, downloads: Downloads, wanted: Wanted) -> None:
    server.faults[PATH] = ["cut 300000", "cut 200000"]
    assert downloads.fetch(wanted).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == ["", "bytes=300000-", "bytes=500000-"]


def test_later_run_goes_on_where_the_last_one_ended(server, downloads: Downloads, wanted: Wanted) -> None:
    server.faults[PATH] = ["cut 300000", "503", "503"]
    with pytest.raises(DownloadError, match="what has come is kept"):
        downloads.fetch(wanted)
    assert downloads.fetch(wanted).read_bytes() == BODY
    assert server.asked[-1] == (PATH, "bytes=300000-")


def test_file_that_changed_on_the_server_is_not_mixed(server, downloads: Downloads, wanted: Wanted) -> None:
    server.faults[PATH] = ["cut 300000", "503", "503"]
    with pytest.raises(DownloadError):
        downloads.fetch(wanted)
    server.files[PATH] = other = gzip.compress(b"new" * 300_000, 0, mtime=0)
    assert downloads.fetch(wanted).read_bytes() == other


@pytest.mark.parametrize("fault", ["no ranges", "wrong range"])
def test_server_that_cannot_go_on_starts_over(
    server, downloads: Downloads, wanted: Wanted, fault: str
) -> None:
    server.faults[PATH] = ["cut 300000", fault]
    assert downloads.fetch(wanted).read_bytes() == BODY


def test_part_that_is_already_whole_is_fetched_anew(server, downloads: Downloads, wanted: Wanted) -> None:
    """The process died between the last byte and the record: the server answers 416."""
    server.faults[PATH] = ["cut 300000", "503", "503"]
    with pytest.raises(DownloadError):
        downloads.fetch(wanted)
    (part,) = downloads.folder.rglob("*.part")
    part.write_bytes(BODY)
    assert downloads.fetch(wanted).read_bytes() == BODY


def test_missing_file_is_not_tried_again(server, downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match=r"no\.gz: the server does not have it \(404 Not Found\)"):
        downloads.fetch(Wanted(server.url + "/no.gz", check_gzip))
    assert server.n_asked("/no.gz") == 1
    assert downloads.fetch(Wanted(server.url + "/no.gz", check_gzip, optional=True)) is None


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("503", "the server answers 503"),
        ("page", "no intact gzip file"),
        ("short 5000", "truncated or damaged"),
        ("slow 0.6", "the server took too long"),
        ("403", r"the server refuses it \(403"),
    ],
)
def test_what_does_not_pass_is_named_and_leaves_no_file(
    server, tmp_path: Path, wanted: Wanted, fault: str, says: str
) -> None:
    server.faults[PATH] = [fault] * 5
    with pytest.raises(DownloadError, match=says) as caught:
        Downloads(tmp_path, timeout=0.3, attempts=2, first_wait=0.01).fetch(wanted)
    assert server.url + PATH in str(caught.value)
    assert not list(tmp_path.rglob("table.gz"))


def test_no_server_is_an_error(downloads: Downloads) -> None:
    """Port 9 (discard) of this machine: nobody answers."""
    with pytest.raises(DownloadError, match="no connection"):
        downloads.fetch(Wanted("http://127.0.0.1:9/table.gz", check_gzip))


def test_waits_double(server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: Wanted) -> None:
    waited: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", lambda _, timeout=None: bool(waited.append(timeout)))
    server.faults[PATH] = ["503", "503", "429", "503"]
    Downloads(tmp_path, first_wait=0.25).fetch(wanted)
    # Asked to wait no time at all once (429 with Retry-After: 0).
    assert [wait for wait in waited if wait is not None] == [0.25, 0.5, 0.0, 2.0]


def test_files_come_side_by_side_and_each_for_itself(server, downloads: Downloads) -> None:
    wanted = [Wanted(f"{server.url}/{name}.gz", check_gzip) for name in "abcdefgh"]
    for name in "abcdefg":
        server.files[f"/{name}.gz"] = gzip.compress(name.encode())
        server.faults[f"/{name}.gz"] = ["slow 1.5"]
    done: list[tuple[int, int]] = []
    start = time.monotonic()
    found = downloads.fetch_all([*wanted, wanted[0]], lambda *numbers: done.append(numbers))
    # Seven slow answers of 1.5 s by four at a time: two rounds, not seven.
    assert time.monotonic() - start < 8.0
    assert 2 <= server.most_at_once <= 4
    assert [gzip.decompress(path.read_bytes()).decode() for path in found[:7]] == list("abcdefg")
    assert isinstance(found[7], DownloadError)
    assert found[8] == found[0]
    assert done[-1] == (8, 8)


def test_path_of_an_address_leads_nowhere_else(server, downloads: Downloads) -> None:
    server.files["/../../evil.gz"] = BODY
    path = downloads.fetch(Wanted(server.url + "/../../evil.gz", check_gzip))
    assert path.is_relative_to(downloads.folder)


def test_form_is_kept_by_its_content(server, downloads: Downloads) -> None:
    server.files["/ask"] = gzip.compress(b"answer")
    first = downloads.fetch(Wanted(server.url + "/ask", check_gzip, b"question=1"))
    second = downloads.fetch(Wanted(server.url + "/ask", check_gzip, b"question=2"))
    assert first != second
    assert server.forms == [b"question=1", b"question=2"]


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="attempts is 0"):
        Downloads(tmp_path, attempts=0)
    with pytest.raises(ConfigError, match="starts with http"):
        Downloads(tmp_path).fetch(Wanted("file:///etc/hostname", check_gzip))


@pytest.mark.parametrize("new", ["http://a.org/y", "ftp://a.org/y", "HTTP://a.org/y"])
def test_nobody_is_led_out_of_https(new: str) -> None:
    """Else what is fetched could be read, and changed, on the way."""
    with pytest.raises(DownloadError, match="which is not https"):
        SafeRedirects().redirect_request(Request("https://a.org/x"), None, 302, "Found", Message(), new)


@pytest.mark.parametrize("old", ["http", "https"])
def test_a_server_may_lead_elsewhere(old: str) -> None:
    request = Request(f"{old}://a.org/x")
    found = SafeRedirects().redirect_request(request, None, 302, "Found", Message(), "https://b.org/y")
    assert found is not None
    assert found.full_url == "https://b.org/y"
