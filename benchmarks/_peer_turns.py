# SPDX-License-Identifier: BSD-3-Clause
"""The peer as a process that stays, so that its turns lie between ours and a busy machine slows both."""

import json
import subprocess
import sys
from types import TracebackType
from typing import Self

from _peer_venv import peer_python


class PeerTurns:
    """Asks a script in the peer's environment for one answer at a time.

    Args:
        script: Python source; reads one question a line, and prints one JSON object a line as the answer.
        arguments: What it finds in ``sys.argv[1:]``.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        command = [str(peer_python()), "-u", "-c", script, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def ask(self, question: str) -> dict[str, float]:
        """Return the answer to one question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the peer failed on {question!r}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
