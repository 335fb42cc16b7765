"""A sample service on nothing but the standard library: small, starts at once, behaves as its release.json says.

Imports as little as it can; a few dozen of these run on a laptop. ``behaviour`` in release.json may hold:
``error_rate`` (part of the requests answered with 500, dealt out evenly), ``latency`` (milliseconds for each page),
``healthy`` (false: the health check fails), ``warm_up`` (milliseconds until the health check passes) and ``exits``
(true: ends while it is starting).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time

PAGES = {
    "checkout": "Your basket: 3 things, 42.00 in all. Pay now?",
    "catalog": "1,204 things to buy. New today: a very good kettle.",
    "payments": "Payments are being taken. 17 in the last minute.",
}
LONGEST_HEAD = 65_536
PATIENCE = 10.0


class Service:
    """Answers HTTP/1.1, one request a connection, a thread for each."""

    def __init__(self) -> None:
        with open("release.json", encoding="utf-8") as file:  # noqa: PTH123 - importing pathlib takes too long
            behaviour = json.load(file).get("behaviour", {})
        self.error_rate = float(behaviour.get("error_rate", 0))
        self.latency = float(behaviour.get("latency", 0)) / 1000
        self.healthy = bool(behaviour.get("healthy", True))
        self.warm_at = time.monotonic() + float(behaviour.get("warm_up", 0)) / 1000
        self.exits = bool(behaviour.get("exits", False))
        self.name = os.environ.get("SERVICE", "service")
        self.version = os.environ.get("VERSION", "v0")
        self.environment = os.environ.get("ENVIRONMENT", "nowhere")
        self.debt = 0.0
        self.lock = threading.Lock()

    def answer(self, method: str, path: str) -> tuple[int, str, str]:
        """Status, content type and text."""
        if path == "/health":
            well = self.healthy and time.monotonic() >= self.warm_at
            health = {
                "status": "ok" if well else "failing",
                "service": self.name,
                "version": self.version,
                "environment": self.environment,
            }
            return 200 if well else 503, "application/json", json.dumps(health) + "\n"
        if path != "/":
            return 404, "text/plain; charset=utf-8", "There is no such page.\n"
        if self.latency:
            time.sleep(self.latency)
        if self.errs():
            sys.stderr.write(f"{method} {path}: the sum of the basket is not a number\n")
            return 500, "text/plain; charset=utf-8", "Something went wrong on our side.\n"
        page = PAGES.get(self.name, "It works.")
        return 200, "text/plain; charset=utf-8", f"{self.name} {self.version} in {self.environment}\n{page}\n"

    def errs(self) -> bool:
        """Whether this request is one of those that go wrong: evenly spread, so 0.08 is 8 in every 100."""
        if not self.error_rate:
            return False
        with self.lock:
            self.debt += self.error_rate
            if self.debt < 1:
                return False
            self.debt -= 1
            return True

    def converse(self, connection: socket.socket) -> None:
        """Read one request and answer it."""
        with connection:
            connection.settimeout(PATIENCE)
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = connection.recv(4096)
                    if not piece or len(head) > LONGEST_HEAD:
                        return
                    head += piece
                head, _, body = head.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, target = lines[0].split(" ")[:2]
                fields = dict(line.lower().partition(":")[::2] for line in lines[1:])
                missing = int(fields.get("content-length", "0")) - len(body)
                while missing > 0 and (piece := connection.recv(min(65_536, missing))):
                    missing -= len(piece)
                status, kind, text = self.answer(method, target.partition("?")[0])
                content = text.encode()
                answer = (
                    f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not so well'}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
                ).encode()
                connection.sendall(answer + (b"" if method == "HEAD" else content))
            except (OSError, ValueError, IndexError):
                return

    def run(self) -> None:
        """Listen until SIGTERM, then answer what was begun."""
        sys.stderr.write(f"{self.name} {self.version} starts in {self.environment}\n")
        if self.exits:
            raise SystemExit("cannot start: the table 'orders' has no column 'currency'")
        if not self.healthy:
            sys.stderr.write("cannot reach the ledger: connection refused\n")
        signal.signal(signal.SIGTERM, stop)
        with socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=512) as listener:
            threads: list[threading.Thread] = []
            try:
                while True:
                    connection, _ = listener.accept()
                    threads = [thread for thread in threads if thread.is_alive()]
                    threads.append(threading.Thread(target=self.converse, args=(connection,), daemon=True))
                    threads[-1].start()
            except Stopped:
                listener.close()
                for thread in threads:
                    thread.join(PATIENCE)


class Stopped(BaseException):
    """SIGTERM came."""


def stop(*_: object) -> None:
    """Leave the loop that accepts connections."""
    raise Stopped


if __name__ == "__main__":
    Service().run()
