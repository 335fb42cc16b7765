"""A real Prometheus server from Debian's package, on a free port, with a past written into it before it starts."""

from __future__ import annotations

import base64
import re
import select
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LISTENING = re.compile(r'msg="Listening on" address=(127\.0\.0\.1:\d+)')
PATIENCE = 20.0
INTERVAL = 5
PAST, FUTURE = 1800, 300
"""Seconds of samples on both sides of the moment at which the server was made."""
USER, PASSWORD = "reader", "p-7Kq2-Zw9"
WEB = f"basic_auth_users:\n  {USER}: $2b$05$qAwtxTrlGjLXQfIFdFbLCOhnKnai/XIQL/dNyAOJBOepGuhaCNhwa\n"


def needed() -> None:
    """Skip the test where the server is not installed."""
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("there is no Prometheus on PATH; `make prometheus` installs one")


def samples(now: int) -> str:
    """What services said before, in OpenMetrics: a good and a bad release, an idle one, and one with an odd name."""
    start = now - PAST
    times = range(start, now + FUTURE, INTERVAL)
    counters = [
        ("v1.2", "200", 19),
        ("v1.2", "500", 1),
        ("v1x2", "200", 1),
        ("v1x2", "500", 1),
        ("v1.3", "200", 10),
        ("v0.9", "200", 0),
        ("v0.9", "500", 0),
        ('we\\"ird\\\\one', "200", 3),
        ('we\\"ird\\\\one', "500", 1),
    ]
    lines = ["# TYPE http_requests counter"]
    for version, code, each in counters:
        labels = f'service="checkout",environment="production",version="{version}",code="{code}"'
        lines += [f"http_requests_total{{{labels}}} {n * each} {at}" for n, at in enumerate(times)]
    lines.append("# TYPE up_since gauge")
    lines += [f'up_since{{version="v1.2"}} 7 {at}' for at in times if not now - 900 <= at < now - 300]
    lines.append("# TYPE wait histogram")
    for bound in ("0.1", "1.0", "+Inf"):
        lines += [f'wait_bucket{{version="v0.9",le="{bound}"}} 4 {at}' for at in times]
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def prometheus(folder: Path, *, scrape: str = "", auth: bool = False, past: bool = True) -> Iterator[str]:
    """The address of a server that runs in ``folder``; ``scrape`` is host:port of something to scrape often."""
    needed()
    folder.mkdir(parents=True, exist_ok=True)
    if past:
        (folder / "past.om").write_text(samples(int(time.time())))
        made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "past.om", "data"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True)
    targets = f"[{{job_name: service, static_configs: [{{targets: ['{scrape}']}}]}}]" if scrape else "[]"
    text = f"global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs: {targets}\n"
    (folder / "prometheus.yml").write_text(text)
    (folder / "web.yml").write_text(WEB if auth else "")
    server = subprocess.Popen(
        [
            "prometheus",
            "--config.file=prometheus.yml",
            "--web.config.file=web.yml",
            "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=10y",
            "--web.listen-address=127.0.0.1:0",
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        address = f"http://{_listening(server)}"
        _ready(address)
        yield address
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


def _listening(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    said = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not select.select([server.stderr], [], [], 0.2)[0] and server.poll() is None:
            continue
        for line in iter(server.stderr.readline, ""):
            said.append(line)
            if match := LISTENING.search(line):
                return match[1]
        break
    raise AssertionError("Prometheus did not start:\n" + "".join(said))


def _ready(address: str) -> None:
    known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(f"{address}/-/ready", headers={"Authorization": f"Basic {known}"})
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            time.sleep(0.05)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Prometheus did not become ready")
