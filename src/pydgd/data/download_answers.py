# SPDX-License-Identifier: BSD-3-Clause
"""What an answer of a server says: how much comes, of which version, and what went wrong."""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request

from pydgd.errors import DownloadError

_CHUNK = 2**18
# The server is busy or broken for now; all other codes from 400 on stay as they are.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Damaged(Exception):  # noqa: N818  # what a file is, not what a program did
    """A file came, but incomplete or broken; another attempt may bring a good one."""


class Absent(Exception):  # noqa: N818  # no error where a file is optional
    """The server does not have the file."""


class Passing(Exception):  # noqa: N818  # not an error yet
    """What went wrong may go right next time.

    Args:
        reason: In words.
        wait: Seconds the server asks for.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class SafeRedirects(HTTPRedirectHandler):
    """Follows a server to another address, but not out of https."""

    def redirect_request(self, req: Request, *args: Any) -> Request | None:  # noqa: ANN401  # as urllib has it
        """The request for the new address, the last of the arguments."""
        if req.type == "https" and urlsplit(args[-1]).scheme != "https":
            raise DownloadError(
                f"{req.full_url}: the server leads to {args[-1]}, which is not https; give another address"
            )
        return super().redirect_request(req, *args)


@contextmanager
def network_named() -> Iterator[None]:
    """What can go wrong on the way, as something passing or as something that stays."""
    try:
        yield
    except HTTPError as error:
        error.close()
        if error.code == 416:
            raise Damaged("the file on the server has changed") from error
        if error.code in _PASSING:
            raise Passing(f"the server answers {error.code} {error.reason}", _retry_after(error)) from error
        if error.code in (404, 410):
            raise Absent(f"the server does not have it ({error.code} {error.reason})") from error
        raise DownloadError(f"{error.url}: the server refuses it ({error.code} {error.reason})") from error
    except TimeoutError as error:
        raise Passing("the server took too long") from error
    except URLError as error:
        slow = isinstance(error.reason, TimeoutError)
        raise Passing("the server took too long" if slow else f"no connection ({error.reason})") from error
    except (HTTPException, ConnectionError) as error:
        raise Passing(f"the connection broke ({error or type(error).__name__})") from error


def check_gzip(path: Path) -> None:
    """Read a gzip file through, which compares its own checksum.

    Args:
        path: The file.

    Raises:
        Damaged: If it is cut off, corrupt or no gzip file.
    """
    try:
        with gzip.open(path) as stream:
            while stream.read(_CHUNK):
                pass
    except gzip.BadGzipFile as error:
        raise Damaged(f"what came is no intact gzip file ({error})") from error
    except (EOFError, zlib.error) as error:
        raise Damaged(f"the gzip data that came are truncated or damaged ({error})") from error


def expected_size(answer: HTTPResponse, held: int) -> int | None:
    """Bytes that a file has in all, or None if the server does not say.

    Args:
        answer: Its headers.
        held: Bytes that came before.
    """
    length = answer.headers.get("Content-Length")
    return held + int(length) if length and length.isdigit() else None


def goes_on(answer: HTTPResponse, held: int) -> bool:
    """Whether a part of a file begins where the last one ended.

    Args:
        answer: Its headers.
        held: Bytes that came before.
    """
    start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return start is not None and int(start.group(1)) == held


def version_tag(answer: HTTPResponse) -> str:
    """What tells this version of a file from others; weak tags do not.

    Args:
        answer: Its headers.
    """
    tag = answer.headers.get("ETag") or ""
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified") or ""


def _retry_after(error: HTTPError) -> float | None:
    seconds = error.headers.get("Retry-After") if error.headers else None
    return float(seconds) if seconds and seconds.isdigit() else None
