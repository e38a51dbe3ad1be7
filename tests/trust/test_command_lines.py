# SPDX-License-Identifier: BSD-3-Clause
"""Whatever is typed, the exit code is 0 or 2, and never is there a traceback; the benchmark tries more."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .command_lines import Lines, commands


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    return Lines(tmp_path_factory.mktemp("lines") / "x")


@pytest.mark.parametrize("name", commands())
def test_a_line_of_every_command(lines: Lines, name: str) -> None:
    lines.run(lines.drawn(random.Random(name), name))


@settings(max_examples=5, deadline=None)
@given(
    name=st.sampled_from(sorted(commands())),
    seed=st.integers(0, 2**32),
    words=st.lists(st.text(st.characters(exclude_characters="\x00", codec="utf-8")), max_size=3),
)
def test_lines_with_any_words_in_them(lines: Lines, name: str, seed: int, words: list[str]) -> None:
    """Words of all characters that the system lets through."""
    rng = random.Random(seed)
    line = lines.drawn(rng, name)
    for word in words:
        line.insert(rng.randrange(len(line) + 1), word)
    lines.run(line)


# Each ended with a traceback, or with the code of a bug.
FOUND = (
    ["plot", "loss-history", "normals.dgd", "-o", "out.png", "--height", "inf"],
    ["plot", "loss-history", "normals.dgd", "-o", "out.png", "--width", "9" * 30],
    ["plot", "loss-history", "normals.dgd", "-o", "out.png", "--dpi", str(2**31)],
    ["plot", "loss-history", "normals.dgd", "-o", "x.png", "--dpi", "600", "--width=99", "--height=99"],
    ["simulate", "-o", "out", "--unchanged", "-" + "9" * 30],
    ["simulate", "-o", "out", "--unchanged", "9" * 30],
    ["simulate", "-o", "out", "--genes", str(2**31)],
    ["genes", "-o", "out.csv", "--server", "http://127.0.0.1:9", "--attempts", "1", "--timeout", "inf"],
)  # fmt: skip


@pytest.mark.parametrize("line", FOUND, ids=" ".join)
def test_what_was_found_stays_mended(lines: Lines, line: list[str]) -> None:
    lines.run([str(lines.files / word) if word == "normals.dgd" else word for word in line])
