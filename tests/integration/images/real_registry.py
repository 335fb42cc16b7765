"""A real registry from Debian's package, on a free port, and how to put images into one over plain HTTP."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
PATIENCE = 20.0
USER, PASSWORD = "reader", "r-5Tn8-Qe3"
HTPASSWD = "reader:$2b$04$LSR98xOlfoqIYLLO800dJuvnTzoaak3JMqZXM3pVCB8MWOzufU9cO\n"
CONFIG = """version: 0.1
log: {level: info}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0", secret: only-for-tests}
"""
AUTH = "auth: {htpasswd: {realm: tests, path: %s}}\n"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
PARTS = {
    MANIFEST: ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"),
    DOCKER: ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
}


def digest_of(content: bytes) -> str:
    """The digest of ``content``, found out without the code that is tested."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@contextmanager
def registry(folder: Path, *, auth: bool = False) -> Iterator[str]:
    """The host and port of a registry that keeps its images in ``folder``."""
    if not shutil.which("docker-registry"):
        pytest.skip("there is no docker-registry on PATH; `make registry` installs one")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "config.yml").write_text(CONFIG % (folder / "data") + (AUTH % (folder / "htpasswd") if auth else ""))
    # A file, and no pipe: it says a lot about each request, and nobody would read on.
    said = folder / "registry.log"
    with said.open("wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        yield _listening(server, said)
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


def _listening(server: subprocess.Popen[bytes], said: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        if match := LISTENING.search(said.read_text()):
            return match[1]
        time.sleep(0.02)
    raise AssertionError(f"the registry did not start:\n{said.read_text()}")


@dataclass
class Pusher:
    """Puts images into a repository as `docker push` does."""

    address: str
    name: str
    auth: tuple[str, str] | None = None

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://{self.address}", auth=self.auth, timeout=PATIENCE)

    def blob(self, content: bytes) -> dict[str, Any]:
        """Upload ``content``; gives what a manifest says of it."""
        digest = digest_of(content)
        with self._client() as client:
            begun = client.post(f"/v2/{self.name}/blobs/uploads/")
            assert begun.status_code == 202, begun.text
            done = client.put(
                httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest}), content=content
            )
            assert done.status_code == 201, done.text
        return {"digest": digest, "size": len(content)}

    def manifest(self, document: dict[str, Any], tag: str | None) -> str:
        """Put a manifest under a tag, or under its digest only; gives the digest."""
        content = json.dumps(document).encode()
        digest = digest_of(content)
        with self._client() as client:
            kind = {"Content-Type": document["mediaType"]}
            answer = client.put(f"/v2/{self.name}/manifests/{tag or digest}", content=content, headers=kind)
            assert answer.status_code == 201, answer.text
            assert answer.headers["docker-content-digest"] == digest
        return digest

    def image(self, tag: str | None, *, text: str = "", kind: str = MANIFEST) -> str:
        """Push an image of one platform; ``text`` makes it differ from others."""
        docker = kind == DOCKER
        config = (
            "application/vnd.docker.container.image.v1+json" if docker else "application/vnd.oci.image.config.v1+json"
        )
        layer = (
            "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else "application/vnd.oci.image.layer.v1.tar"
        )
        about = json.dumps({"architecture": "amd64", "os": "linux", "text": text or tag}).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": config, **self.blob(about)},
            "layers": [{"mediaType": layer, **self.blob(b"layer")}],
        }
        return self.manifest(document, tag)

    def index(self, tag: str) -> tuple[str, list[str]]:
        """Push an image of two platforms; gives the digest of all and those of each."""
        parts = [self.image(None, text=f"{tag} {platform}") for platform in ("amd64", "arm64")]
        said = []
        with self._client() as client:
            for part, platform in zip(parts, ("amd64", "arm64"), strict=True):
                content = client.get(f"/v2/{self.name}/manifests/{part}", headers={"Accept": MANIFEST}).content
                where = {"os": "linux", "architecture": platform}
                said.append({"mediaType": MANIFEST, "digest": part, "size": len(content), "platform": where})
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": said}
        return self.manifest(document, tag), parts

    def remove(self, digest: str) -> None:
        """Delete a manifest."""
        with self._client() as client:
            answer = client.delete(f"/v2/{self.name}/manifests/{digest}")
            assert answer.status_code == 202, answer.text
