# SPDX-License-Identifier: BSD-3-Clause
"""A process that reads files before PyDGD does, so that what a damaged one does to HDF5 is done to it.

`pydgd.probe` runs this file as a script. It imports nothing of PyDGD: h5py alone loads in a fifth of the
time. On its input it gets `sys.path`, then one request a line; for each it prints a line that says what was
too much, or null. Other damage is left to the reader, which has better words for it. It ends with its input.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS, BYTES_PER_SECOND = 1.0, 50 * 2**20
"""Time of the processor for one array, and how much more it gets as the file grows."""
SECONDS_PER_NODE = 0.02
"""What a group or array gives back of it, when it is found and when it is read: a sound one takes 0.4 ms, and
a table with a thousand columns, as recount3's of TCGA, has three thousand."""
MOST_MEMORY = 500 * 2**20
"""Bytes beside four times the file."""
PIECE, TILES = 4 * 2**20, 1_024
"""Bytes, and tiles, read of an array of numbers: all of a small one. What is behind them is found by the same
structure, which is walked to its end."""
TEXTS, TEXTS_AT_ONCE, TEXT_BYTES = 500_000, 50_000, 64
"""Values of variable length read in a file, at once, and bytes of one in memory: each has a place and a
length of its own, so that all are read that can be."""
LARGE_TILE = 64 * 2**20
"""Bytes of a tile that is not read, since it comes into memory as a whole."""


class TooMuchError(Exception):
    """More memory than a file of this size may take."""


def main() -> None:
    """Answer requests until the input ends."""
    sys.path[:] = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    # What a library prints is no answer.
    os.dup2(2, 1)
    # Ctrl-C is for the reader, whose end is the end of this input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import h5py  # noqa: F401  # not within the time of the first file

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(within_limits(Path(json.loads(line)))), file=answers, flush=True)
        # Files that cannot be closed stay in memory: the next one gets a fresh process.
        if own_memory()[1] > MOST_MEMORY:
            return


def within_limits(path: Path) -> str | None:
    """What of a file took too much memory, or None; what takes too much time ends this process."""
    if path.is_dir():
        import zarr  # noqa: F401  # not within the time of the file
    try:
        size = sum(entry.stat().st_size for entry in (path.rglob("*") if path.is_dir() else [path]))
    except OSError:
        # Its reader knows better words for that.
        return None
    seconds = SECONDS + size / BYTES_PER_SECOND
    limit_time(seconds)
    limit_memory(4 * size + MOST_MEMORY)
    said = tried(path, lambda: give_time(SECONDS_PER_NODE, most=seconds))
    limit_time(0.0)
    limit_memory(None)
    return said


def limit_time(seconds: float) -> None:
    """Let the system end this process, whatever library it is in; 0 takes that back."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


def give_time(seconds: float, *, most: float) -> None:
    """Let this process have so much more time, but not more than `most` from now."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, min(most, signal.getitimer(signal.ITIMER_PROF)[0] + seconds))


def limit_memory(n_bytes: int | None) -> None:
    """Refuse further memory to this process; None takes that back. Where it cannot be done it is not."""
    present = own_memory()[0]
    if not present:
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = hard if n_bytes is None else present + n_bytes
    resource.setrlimit(
        resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
    )


def own_memory() -> tuple[int, int]:
    """Bytes of addresses and of memory that this process has; 0 where Linux does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[:2]
    except OSError:
        return 0, 0
    size, resident = (int(n) * os.sysconf("SC_PAGE_SIZE") for n in pages)
    return size, resident


def tried(path: Path, passed: Callable[[], None]) -> str | None:
    """What of a file took too much memory, or None; `passed` is called at each group and array."""
    try:
        if path.is_dir():
            import zarr

            visit(zarr.open_group(str(path), mode="r"), passed)
        else:
            import h5py

            # A lock would outlive a file that cannot be closed.
            with h5py.File(path, "r", locking=False) as file:
                visit(file, passed)
    except TooMuchError as error:
        return str(error)
    except Exception as error:
        return too_much(error)
    return None


def too_much(error: Exception) -> str | None:
    """Words for an error that is want of memory; None for any other."""
    is_memory = isinstance(error, MemoryError) or "alloc" in str(error).lower()
    return (str(error)[:200] or "no size given") if is_memory else None


def gently(step: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # what the step gives
    """Do a step; None if it fails, unless for want of memory."""
    try:
        return step(*arguments)
    except TooMuchError:
        raise
    except Exception as error:
        if said := too_much(error):
            raise TooMuchError(said) from error
        return None


def visit(root: Any, passed: Callable[[], None]) -> None:  # noqa: ANN401  # a group of h5py or zarr
    """Every group, array and attribute once; links out of the file are not followed."""
    seen: set[int] = set()
    waiting, texts = [root], [TEXTS]
    while waiting:
        node = waiting.pop()
        passed()
        gently(lambda node=node: list(node.attrs.items()))
        if hasattr(node, "dtype"):
            gently(read, node, texts)
            continue
        for name in gently(list, node) or ():
            inside = gently(follow, node, name, seen)
            # A folder of a thousand columns takes a second to be opened, before the first of them is read.
            passed()
            if inside is not None:
                waiting.append(inside)


def follow(group: Any, name: str, seen: set[int]) -> Any:  # noqa: ANN401  # of h5py or zarr
    """What is there under a name, unless it was there before or is in another file."""
    if type(group).__module__.startswith("zarr"):
        return group[name]
    import h5py

    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        return None
    inside = group.get(name)
    if inside is None:
        return None
    place = h5py.h5o.get_info(inside.id).addr
    if place in seen:
        return None
    seen.add(place)
    return inside


def read(array: Any, texts: list[int]) -> None:  # noqa: ANN401  # of h5py or zarr
    """The beginning of an array of numbers, all values of variable length, and the way to all tiles."""
    is_hdf5 = hasattr(array, "id")
    if is_hdf5 and (array.external or array.is_virtual):
        return
    if is_hdf5 and array.chunks:
        array.id.get_num_chunks()
    if tile_bytes(array) > LARGE_TILE or array.shape is None:
        return
    if not array.dtype.hasobject:
        size = max(1, array.dtype.itemsize)
        # A file of a few kB can claim any number of tiles, each of which takes time.
        n_bytes = min(PIECE, TILES * tile_bytes(array)) if array.chunks else PIECE
        array[beginning(array.shape, max(1, n_bytes // size))]
        return
    if not array.shape:
        array[()]
        return
    per_row = 1
    for side in array.shape[1:]:
        per_row *= side
    step = max(1, TEXTS_AT_ONCE // max(1, per_row))
    for first in range(0, array.shape[0], step):
        if texts[0] <= 0:
            return
        array[first : first + step]
        texts[0] -= step * per_row


def tile_bytes(array: Any) -> int:  # noqa: ANN401  # of h5py or zarr
    """Bytes that come into memory for any part of an array."""
    size = TEXT_BYTES if array.dtype.hasobject else array.dtype.itemsize
    for side in array.chunks or ():
        size *= side
    return size


def beginning(shape: tuple[int, ...], n_values: int) -> tuple[slice, ...]:
    """Slices of about so many values at the start of every axis."""
    slices = []
    for side in reversed(shape):
        n_here = min(side, max(1, n_values))
        slices.append(slice(0, n_here))
        n_values //= max(1, n_here)
    return tuple(reversed(slices))


if __name__ == "__main__":
    main()
