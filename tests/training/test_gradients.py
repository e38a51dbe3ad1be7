# SPDX-License-Identifier: BSD-3-Clause
"""Gradients of several processes: their sum, and a word on whether all are fit to learn from."""

import pytest
import torch

from pydgd.training import gradients
from pydgd.training.gradients import GradientSums
from pydgd.training.ranks import ALONE, Ranks


class TwiceAsMuch:
    """In a board's place: another process with twice this one's numbers, and a word of its own."""

    def __init__(self, word: float) -> None:
        self.word, self.messages = word, []

    def total(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """The sum with the other's."""
        message = torch.cat(parts)
        self.messages.append(len(message))
        return torch.cat([3 * message[:-1], message[-1:] + self.word])


@pytest.fixture
def parameters() -> list[torch.nn.Parameter]:
    """Three with gradients, and one that does not learn."""
    learning = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (4,), ())]
    for parameter in learning:
        parameter.grad = torch.randn(parameter.shape)
    return [*learning[:2], torch.nn.Parameter(torch.zeros(5)), learning[2]]


@pytest.mark.parametrize("by_board", [True, False])
@pytest.mark.parametrize(("mine", "theirs"), [(True, True), (False, True), (True, False)])
def test_gradients_and_health_go_in_one_message(
    monkeypatch: pytest.MonkeyPatch,
    parameters: list[torch.nn.Parameter],
    mine: bool,
    theirs: bool,
    by_board: bool,
) -> None:
    """All learn from a step, or none does; a parameter that does not learn is left out."""
    other = TwiceAsMuch(0.0 if theirs else torch.nan)
    monkeypatch.setattr(gradients.Board, "opened", lambda *_: other if by_board else None)
    monkeypatch.setattr(Ranks, "total", lambda _, message: other.total([message]))
    before = [None if p.grad is None else 3 * p.grad for p in parameters]
    healthy = GradientSums(parameters, Ranks(0, 2)).add(healthy=mine)
    assert healthy == (mine and theirs)
    assert other.messages == [6 + 4 + 1 + 1]
    for parameter, expected in zip(parameters, before, strict=True):
        assert parameter.grad is expected is None or torch.equal(parameter.grad, expected)


def test_alone_nothing_is_sent(parameters: list[torch.nn.Parameter]) -> None:
    """Gradients stay what they are, and so does the word on them."""
    before = [p.grad for p in parameters]
    sums = GradientSums(parameters, ALONE)
    assert [sums.add(healthy=healthy) for healthy in (True, False)] == [True, False]
    assert all(p.grad is g for p, g in zip(parameters, before, strict=True))
