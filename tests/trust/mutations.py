# SPDX-License-Identifier: BSD-3-Clause
"""Ways to damage bytes, text, JSON, HDF5 and tables, all drawn from one seeded generator."""

import copy
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WORDS = (
    "", " ", "NA", "NaN", "nan", "inf", "-inf", "-1", "-0", "1e400", "1e308", "9" * 30, "2147483648", "0x10",
    "1_000", "1,5", "12a", "1.5", "+1", "True", "None", "null", '"', '""', "'", "=1+1", "@SUM(A1)", "\x00",
    "\x1b[31m", "\r", "\u202e", "é", "\ud7ff", "#", "%", "__no_feature", "N_unmapped", "S1",
    "ENSG00000000003.1", "gene_id", "Geneid", "#1.2", "x" * 5000, "../../etc/passwd", "<script>", "1" * 400,
)  # fmt: skip
NUMBERS = (0, 1, 2, 7, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 0.5, 1e308, -1e308, 2**31, 2**63, 2**64, 10**30, "", "em", "x" * 3000, [],
    {}, [[]], [None], ["a", "a"], {"name": "em"}, [1, 2, 3], "1", "\x00", float("nan"), float("inf"),
)  # fmt: skip
ATTRIBUTES: tuple[Any, ...] = (
    "", "csr_matrix", "csc_matrix", "dataframe", "array", "0.2.0", 3, -1.5, [2, 2], [0, 0], [2**40, 2**40],
    ["x"], "dict", "categorical", "string-array", "null",
)  # fmt: skip


def bytes_changed(rng: random.Random, content: bytes) -> bytes:
    """One to four bytes or slices flipped, overwritten, doubled, moved, or the end cut off."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_OF_BYTES)(rng, changed)
    return bytes(changed)


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _number(rng: random.Random, data: bytearray) -> None:
    size = rng.choice((1, 2, 4, 8))
    place = rng.randrange(len(data) + 1)
    value = rng.choice(NUMBERS) % 2 ** (8 * size)
    data[place : place + size] = struct.pack("<Q", value)[:size]


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _drop(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data) + 1)
    del data[place : place + rng.randint(1, 64)]


def _double(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = data[place : place + rng.randint(1, 200)]


def _noise(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data) + 1)
    data[place : place + rng.randint(0, 8)] = rng.randbytes(rng.randint(1, 8))


_OF_BYTES = (_flip, _flip, _number, _number, _cut, _drop, _double, _noise)


def text_changed(rng: random.Random, text: str) -> str:
    """One to four fields or lines replaced, dropped, doubled or swapped."""
    rows = [line.split("\t") for line in text.split("\n")]
    separator = "\t"
    if not any(len(row) > 1 for row in rows):
        separator = next((mark for mark in ",; " if mark in text), "\t")
        rows = [line.split(separator) for line in text.split("\n")]
    for _ in range(rng.randint(1, 4)):
        rng.choice(_OF_ROWS)(rng, rows)
    separator = rng.choice(",;\t| ") if rng.random() < 0.03 else separator
    end = rng.choice(("\r\n", "\r", "\n\n")) if rng.random() < 0.05 else "\n"
    return ("\ufeff" if rng.random() < 0.03 else "") + end.join(separator.join(row) for row in rows)


def _some(rng: random.Random, rows: list[list[str]]) -> list[str]:
    if not rows:
        rows.append([""])
    # Headers say how the rest is read.
    return rows[0] if rng.random() < 0.25 else rng.choice(rows)


def _replace_field(rng: random.Random, rows: list[list[str]]) -> None:
    row = _some(rng, rows)
    if row:
        row[rng.randrange(len(row))] = rng.choice(WORDS)


def _replace_column(rng: random.Random, rows: list[list[str]]) -> None:
    place, word = rng.randrange(len(_some(rng, rows)) or 1), rng.choice(WORDS)
    for row in rows[rng.randint(0, 1) :]:
        if place < len(row):
            row[place] = word


def _drop_field(rng: random.Random, rows: list[list[str]]) -> None:
    row = _some(rng, rows)
    if row:
        del row[rng.randrange(len(row))]


def _double_field(rng: random.Random, rows: list[list[str]]) -> None:
    row = _some(rng, rows)
    if row:
        row.insert(rng.randrange(len(row) + 1), rng.choice(row))


def _drop_row(rng: random.Random, rows: list[list[str]]) -> None:
    if rows:
        place = rng.randrange(len(rows))
        del rows[place : place + rng.choice((1, 1, 2, len(rows)))]


def _double_row(rng: random.Random, rows: list[list[str]]) -> None:
    if rows:
        rows.insert(rng.randrange(len(rows) + 1), list(rng.choice(rows)))


def _swap_rows(rng: random.Random, rows: list[list[str]]) -> None:
    if len(rows) > 1:
        one, other = rng.sample(range(len(rows)), 2)
        rows[one], rows[other] = rows[other], rows[one]


_OF_ROWS = (
    _replace_field, _replace_field, _replace_field, _replace_column, _drop_field, _double_field, _drop_row,
    _double_row, _swap_rows,
)  # fmt: skip


def json_changed(rng: random.Random, text: str) -> str:
    """One or two values anywhere in a JSON text replaced, removed or wrapped."""
    value = {"": json.loads(text)}
    for _ in range(rng.randint(1, 2)):
        holder, key = rng.choice(list(_places(value)))
        kind = rng.randrange(8)
        if kind == 0 and holder is not value:
            del holder[key]
        elif kind == 1:
            holder[key] = [holder[key]]
        elif kind == 2 and isinstance(holder, dict) and holder is not value:
            holder[rng.choice(("", "extra", "name", "latent_dim"))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(value[""])


def _places(value: Any):
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def array_changed(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Another shape, type, size or value."""
    changes: tuple[Callable[[], np.ndarray], ...] = (
        lambda: array.reshape(-1),
        lambda: array[None],
        lambda: array.T.copy(),
        lambda: array[:-1] if array.ndim else array,
        lambda: np.concatenate([array, array]) if array.ndim else array,
        lambda: np.zeros(rng.choice(((), (0,), (1,), (0, 3), (3, 0), (2, 2, 2)))),
        lambda: array.astype(rng.choice(("i1", "u1", "i8", "f4", "f8", "f2", "?"))),
        lambda: _with_value(rng, array),
        lambda: _with_value(rng, array),
    )
    with np.errstate(all="ignore"):
        return rng.choice(changes)()


def _with_value(rng: random.Random, array: np.ndarray) -> np.ndarray:
    changed = np.array(array)
    if changed.size and changed.dtype.kind in "fiu":
        value = rng.choice((np.nan, np.inf, -np.inf, 0.0, -1.0, 0.5, 1e300, 1e-300, 2.0**31, 2.0**62))
        changed = changed.astype(float) if changed.dtype.kind != "f" and rng.random() < 0.5 else changed
        flat = changed.reshape(-1)
        flat[rng.randrange(flat.size)] = np.float64(value).astype(flat.dtype)
    return changed


def hdf5_changed(rng: random.Random, path: Path) -> None:
    """One or two groups, datasets or attributes of a file removed, replaced, linked or made enormous."""
    with h5py.File(path, "r+") as file:
        for _ in range(rng.randint(1, 2)):
            names: list[str] = []
            file.visit(names.append)
            if not names:
                return
            _hdf5_step(rng, file, rng.choice(names))


def _hdf5_step(rng: random.Random, file: h5py.File, name: str) -> None:
    node = file.get(name)
    if node is None:
        return
    kind = rng.randrange(9)
    if kind < 3 and len(node.attrs):
        key = rng.choice(sorted(node.attrs))
        del node.attrs[key]
        if kind:
            node.attrs[key] = rng.choice(ATTRIBUTES)
        return
    value = node[()] if isinstance(node, h5py.Dataset) and node.size < 10_000 else None
    del file[name]
    if kind == 3:
        file[name] = h5py.SoftLink(rng.choice(("/", "/obs", "/X", "/nowhere", f"/{name}")))
    elif kind == 4:
        file.create_group(name)
    elif kind == 5:
        # A file of a few kB can claim any size: what is never written takes no room.
        shape = rng.choice(((2**40,), (2**20, 2**20), (2**31, 3), (3, 2**31)))
        file.create_dataset(
            name, shape, rng.choice(("i4", "f8", "u1")), chunks=tuple(min(n, 8) for n in shape)
        )
    elif kind == 6:
        file[name] = rng.choice((3, "text", [1.5, np.nan], ["a", "b"], np.zeros((2, 2, 2)), np.zeros(0)))
    elif kind == 7 and isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        file[name] = array_changed(rng, value)
    elif kind == 8 and isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size:
        value.reshape(-1)[rng.randrange(value.size)] = rng.choice(WORDS).replace("\x00", "")
        file[name] = value
