# SPDX-License-Identifier: BSD-3-Clause
"""How much memory there is, and whether it is enough."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydgd.errors import TooLargeError

# Of a container or a batch job, version 2 and version 1: the limit, what of it is used, and where it says how
# much of that are copies of files, which go when memory is wanted.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", ("inactive_file", "active_file")),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        ("total_inactive_file", "total_active_file"),
    ),
)


def available_memory(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that a process may still take: what the system has left, within the limit of its container.

    Args:
        meminfo: Linux's account of memory.
        cgroup: Where Linux keeps the limits of containers and batch jobs.

    Returns:
        Bytes; where Linux does not say (macOS), half of the physical memory; None if nothing is known.

    Example:
        >>> available_memory() is None or available_memory() > 0
        True
    """
    known = [*_left_in_system(meminfo), *_left_in_container(cgroup)]
    return max(min(known), 0) if known else _half_of_physical()


def check_memory(n_bytes: int | float, what: str, repair: str) -> None:
    """Refuse now what would end in an error, or with a killed process, after minutes of work.

    Args:
        n_bytes: What is taken at least.
        what: Says what takes it, and of which file.
        repair: What to do instead.

    Raises:
        TooLargeError: If that is more than there is, with what may be moved to the disk.

    Example:
        >>> check_memory(2**60, "counts.h5ad: reading its counts", "read fewer samples")
        Traceback (most recent call last):
        pydgd.errors.TooLargeError: counts.h5ad: reading its counts takes 1,073,741,824.0 GiB of memory...
    """
    free = available_memory()
    if free is not None and n_bytes > free + _swap():
        raise TooLargeError(
            f"{what} takes {n_bytes / 2**30:,.1f} GiB of memory, and {free / 2**30:,.1f} GiB are free; "
            f"{repair}"
        )


def _swap(meminfo: Path = Path("/proc/meminfo")) -> int:
    return sum(_said_in(meminfo, ("SwapFree:",))) * 1024


def _said_in(path: Path, fields: Iterable[str]) -> list[int]:
    """Numbers after some words at the starts of lines; none where there is no such file."""
    words = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
    return [int(line[1]) for line in words if len(line) > 1 and line[0] in fields]


def _left_in_system(meminfo: Path) -> Iterator[int]:
    yield from (1024 * kilobytes for kilobytes in _said_in(meminfo, ("MemAvailable:",)))


def _left_in_container(cgroup: Path) -> Iterator[int]:
    for limit, usage, account, files in _LIMITS:
        if (cgroup / limit).is_file() and (cgroup / usage).is_file():
            allowed = (cgroup / limit).read_text().strip()
            if allowed != "max":
                used = int((cgroup / usage).read_text())
                yield int(allowed) - max(0, used - sum(_said_in(cgroup / account, files)))


def _half_of_physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None
