"""A server on this machine with recount3's layout, whose answers can be made to fail."""

import csv
import gzip
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from pydgd.data.download import Downloads


@dataclass
class Server:
    """Files by path, and what goes wrong with the next answers for a path.

    Faults: a status ("503", "404"), "cut N" (the connection breaks after N bytes), "short N" (N bytes without
    a length, as if they were all), "page" (an error page with status 200), "slow N" (after N seconds), "no
    ranges" and "wrong range".
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    forms: list[bytes] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def n_asked(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)

    def add_project(
        self,
        source: str,
        name: str,
        coverage: pd.DataFrame,
        *,
        lengths: list[float],
        metadata: dict[str, list[object]],
        code: str = "G029",
        organism: str = "human",
        without: tuple[str, ...] = (),
    ) -> None:
        """Files of a project as recount3 has them; `coverage` is genes × samples."""
        samples = list(coverage.columns)
        keys = {"rail_id": range(1, len(samples) + 1), "external_id": samples, "study": name}
        base = f"/recount3/{organism}/data_sources/{source}"
        sums = f"##annotation={code}\n##date.generated=2020-10-21\n" + coverage.rename_axis("gene_id").to_csv(
            sep="\t"
        )
        where = f"{base}/gene_sums/{name[-2:]}/{name}/{source}.gene_sums.{name}.{code}.gz"
        self.files[where] = gzip.compress(sums.encode(), mtime=0)
        tables = {
            source: metadata,
            "recount_project": {"project": name, "organism": "Homo sapiens", "file_source": source},
            "recount_qc": {"star.average_mapped_length": lengths, "star.all_mapped_reads": 1_000_000},
            "recount_seq_qc": {"min_len": 76, "avg_len": 76},
            "recount_pred": {"pred.type": "rna-seq"},
        }
        for table, columns in tables.items():
            if table not in without:
                text = pd.DataFrame({**keys, **columns}).to_csv(sep="\t", index=False, quoting=csv.QUOTE_NONE)
                path = f"{base}/metadata/{name[-2:]}/{name}/{source}.{table}.{name}.MD.gz"
                self.files[path] = gzip.compress(text.encode(), mtime=0)


class Handler(BaseHTTPRequestHandler):
    """Answers from the `Server` that its class holds."""

    state: Server

    def do_GET(self) -> None:
        state = self.state
        with state.lock:
            state.asked.append((self.path, self.headers.get("Range", "")))
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
            fault = state.faults.get(self.path, [])
            now = fault.pop(0) if fault else ""
        try:
            self.answer(now)
        except ConnectionError:
            pass
        finally:
            with state.lock:
                state.at_once -= 1

    def do_POST(self) -> None:
        self.state.forms.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def answer(self, fault: str) -> None:
        body = self.state.files.get(self.path)
        if fault.isdigit() or body is None:
            self.send_response(int(fault) if fault.isdigit() else 404)
            if fault == "429":
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        kind, _, number = fault.partition(" ")
        if kind == "slow":
            time.sleep(float(number))
        if kind == "page":
            body = b"<html><body>The server is being repaired</body></html>"
        tag = f'"{sha256(body).hexdigest()[:16]}"'
        start = 0
        if "Range" in self.headers and self.headers.get("If-Range") == tag and fault != "no ranges":
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(body) > 0:
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        if start:
            shown = start + 1 if fault == "wrong range" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        sent = body[start:]
        if kind != "short":
            self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent[: int(number)] if kind in ("cut", "short") else sent)

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = Server()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    # Closing the server waits for answers under way.
    httpd.daemon_threads = False
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    """As users have it, but with short waits."""
    return Downloads(tmp_path / "cache", timeout=5.0, attempts=3, first_wait=0.01)


@pytest.fixture
def bladder(server: Server) -> str:
    """A project of GTEx on the server; its mirror's address. The fourth sample has no mapped reads."""
    genes = ["ENSG00000141510.16", "ENSG00000146648.16", "ENSG00000002586.18_PAR_Y"]
    coverage = pd.DataFrame(
        {
            "GTEX-A.1": [760, 1520, 0],
            "GTEX-B.1": [300, 151, 15],
            "GTEX-C.1": [10**9, 0, 76],
            "GTEX-D.1": [0, 0, 0],
        },
        index=genes,
    )
    server.add_project(
        "gtex",
        "BLADDER",
        coverage,
        lengths=[76.0, 150.0, 152.0, 0.0],
        metadata={
            "run_acc": ["SRR1", "SRR2", "SRR3", "SRR4"],
            "SMTSD": ["Bladder", "Bladder", 'Bladder "trigone', "Bladder"],
            "SMRIN": [7.1, 5.2, None, 6.0],
        },
    )
    return f"{server.url}/recount3"
