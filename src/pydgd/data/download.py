# SPDX-License-Identifier: BSD-3-Clause
"""Files from the network: kept with their checksums, resumed where they broke off, several at a time."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from pydgd._version import __version__
from pydgd.data.download_answers import (
    Absent,
    Damaged,
    Passing,
    SafeRedirects,
    expected_size,
    goes_on,
    network_named,
    version_tag,
)
from pydgd.data.download_cache import CachedFile
from pydgd.errors import ConfigError, DownloadError
from pydgd.words import plural

_log = logging.getLogger(__name__)

_CHUNK = 2**18
_LONGEST_WAIT = 60.0

Check = Callable[[Path], None]
"""Raises `Damaged` if a file is not what it should be."""


@dataclass(frozen=True)
class Wanted:
    """A file that is wanted.

    Attributes:
        url: Where it is.
        check: Whether it is whole; called before it is kept.
        form: Body of a POST request, for servers that compute their answer; such are not resumed.
        optional: Whether the server may do without it.
        most: Bytes that it may have; None for any number.
    """

    url: str
    check: Check
    form: bytes | None = None
    optional: bool = False
    most: int | None = None


@dataclass(frozen=True)
class Downloads:
    """Fetches files over HTTP and keeps them.

    Attributes:
        folder: Of the files that are kept, by host and path.
        timeout: Seconds without a byte after which an attempt is given up.
        attempts: How often a file is tried.
        first_wait: Seconds before the second attempt; each further wait is twice as long, up to a minute,
            unless the server says how long (``Retry-After``).
        n_workers: Files at a time.
        refresh: Fetch again what is kept already.
    """

    folder: Path
    timeout: float = 60.0
    attempts: int = 5
    first_wait: float = 1.0
    n_workers: int = 4
    refresh: bool = False
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        for name, lowest in (("timeout", 0.0), ("attempts", 0), ("first_wait", -1.0), ("n_workers", 0)):
            if getattr(self, name) <= lowest:
                raise ConfigError(f"{name} is {getattr(self, name)}; give more than {max(lowest, 0):g}")

    def fetch(self, wanted: Wanted) -> Path | None:
        """Have one file: from the folder if it is there as it came, else from the network.

        Args:
            wanted: The file.

        Returns:
            Its place, or None if it is optional and the server does not have it.

        Raises:
            DownloadError: If it cannot be had.
        """
        if urlsplit(wanted.url).scheme not in ("http", "https"):
            raise ConfigError(f"{wanted.url!r} is no address; give one that starts with http:// or https://")
        kept = CachedFile(self.folder, wanted.url, wanted.form)
        with kept.locked():
            if not self.refresh and kept.is_whole():
                _log.debug("%s: kept from an earlier run", wanted.url)
                return kept.path
            return self._try(wanted, kept)

    def fetch_all(
        self, wanted: Sequence[Wanted], progress: Callable[[int, int], None] | None = None
    ) -> list[Path | DownloadError | None]:
        """Have several files at a time; each is tried whatever becomes of the others.

        Args:
            wanted: The files.
            progress: Called with the number done and the number in all.

        Returns:
            For each file its place, None if it is optional and not there, or why it cannot be had.
        """
        found: dict[Wanted, Path | DownloadError | None] = {}
        with self._workers() as workers:
            running: dict[Future[Path | None], Wanted] = {
                workers.submit(self.fetch, one): one for one in dict.fromkeys(wanted)
            }
            for done, future in enumerate(as_completed(running), 1):
                try:
                    found[running[future]] = future.result()
                except DownloadError as error:
                    found[running[future]] = error
                if progress is not None:
                    progress(done, len(running))
        return [found[one] for one in wanted]

    @contextmanager
    def _workers(self) -> Iterator[ThreadPoolExecutor]:
        """Threads that stop soon after an interruption."""
        workers = ThreadPoolExecutor(self.n_workers)
        try:
            yield workers
        except BaseException:
            self._stop.set()
            raise
        finally:
            workers.shutdown(cancel_futures=True)

    def _try(self, wanted: Wanted, kept: CachedFile) -> Path | None:
        wait, reason = self.first_wait, ""
        for attempt in range(1, self.attempts + 1):
            try:
                self._attempt(wanted, kept)
                return kept.path
            except Absent as error:
                if wanted.optional:
                    return None
                raise DownloadError(f"{wanted.url}: {error}; check the name and the mirror") from error
            except ConfigError:
                kept.discard()
                raise
            except Damaged as error:
                # What is broken inside is no better for more of it.
                kept.discard()
                reason, pause = str(error), wait
            except Passing as error:
                reason, pause = str(error), wait if error.wait is None else error.wait
            pause = min(pause, _LONGEST_WAIT)
            if attempt < self.attempts:
                _log.info("%s: %s; attempt %d follows in %.3g s", wanted.url, reason, attempt + 1, pause)
                if self._stop.wait(pause):
                    break
                wait *= 2
        raise DownloadError(
            f"{wanted.url}: {reason}; tried {plural(self.attempts, 'time')}. Check the network and the "
            "mirror and run it again: what has come is kept"
        )

    def _attempt(self, wanted: Wanted, kept: CachedFile) -> None:
        """Fetch what is still lacking, check and keep it."""
        held, tag = kept.begun() if wanted.form is None else (0, "")
        headers = {"User-Agent": f"pydgd/{__version__}", "Accept-Encoding": "identity"}
        if held:
            headers |= {"Range": f"bytes={held}-", "If-Range": tag}
        request = Request(wanted.url, wanted.form, headers)  # noqa: S310  # `fetch` has checked the scheme
        with network_named(), build_opener(SafeRedirects).open(request, timeout=self.timeout) as answer:
            resumed = answer.status == 206
            if resumed and not goes_on(answer, held):
                raise Damaged("the server sends another part than the one asked for")
            expected = expected_size(answer, held if resumed else 0)
            kept.begin(version_tag(answer), resumed=resumed)
            self._receive(answer, kept, wanted)
        size = kept.part.stat().st_size
        if expected is not None and size < expected:
            raise Passing(f"the answer broke off after {size:,} of {expected:,} bytes")
        wanted.check(kept.part)
        kept.keep(wanted.url)

    def _receive(self, answer: HTTPResponse, kept: CachedFile, wanted: Wanted) -> None:
        with kept.part.open("ab") as stream:
            while chunk := answer.read(_CHUNK):
                if wanted.most is not None and stream.tell() + len(chunk) > wanted.most:
                    raise DownloadError(
                        f"{wanted.url}: more than {wanted.most:,} bytes come, which no such file has; check "
                        "the address"
                    )
                stream.write(chunk)
                if self._stop.is_set():
                    raise DownloadError("interrupted")
