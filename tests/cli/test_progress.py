# SPDX-License-Identifier: BSD-3-Clause
"""Progress for people and for log files."""

import io

import pytest
from rich.console import Console

from pydgd.cli.progress import BarProgress, PlainProgress, duration


def test_plain_progress_is_a_line_every_few_seconds() -> None:
    """Of 1,000 reports in 20 seconds, five lines: the first, one each 5 seconds, and the last."""
    times = iter([0.0, *(0.02 * (i + 1) for i in range(1000))])
    lines: list[str] = []
    report = PlainProgress(lines.append, "closest normal", "samples", clock=lambda: next(times))
    for done in range(1, 1001):
        report(done, 1000)
    assert len(lines) == 5
    assert lines[0] == "closest normal: 1 of 1,000 samples; 0.0 s, about 20 s left"
    assert lines[-1] == "closest normal: 1,000 of 1,000 samples; 20 s"


def test_plain_progress_survives_a_report_of_nothing_done() -> None:
    """No time left can be told from nothing, and nothing is divided by zero."""
    lines: list[str] = []
    PlainProgress(lines.append, "demo", "steps", clock=lambda: 0.0)(0, 5, "simulating")
    assert lines == ["demo: 0 of 5 steps, simulating; 0.0 s"]


def test_bar_shows_the_note_and_disappears() -> None:
    """On a terminal the bar carries the losses; it is gone when the work is done."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with BarProgress(console, "training") as report:
        report(3, 10, "train 5.9")
    assert "training" in screen.getvalue()
    assert "train 5.9" in screen.getvalue()
    assert "3/10" in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0.0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min")]
)
def test_duration_rounds_without_sixty_seconds(seconds, text) -> None:
    """There is no "60 s" and no "60 min"."""
    assert duration(seconds) == text
