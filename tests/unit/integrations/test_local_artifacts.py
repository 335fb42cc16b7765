"""Versions and artifacts as they lie in folders."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import ProviderRejected, RevisionNotFound
from bot.domain.ids import ServiceName
from bot.sandbox.samples import SERVICES, VERSIONS, write_artifact, write_artifacts
from integrations.local.artifacts import ArtifactError, Artifacts, nearest, valid_version, version_key
from integrations.local.images import LocalImages

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, version: str, **files: str) -> Path:
    place = folder / version
    place.mkdir(parents=True)
    (place / "release.json").write_text(json.dumps({"command": ["{python}", "service.py"]}))
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def test_versions_sort_as_people_read_them() -> None:
    right = ["v0.9", "v1.0", "v1.2", "v1.9", "v1.9.1", "v1.10-rc1", "v1.10-rc2", "v1.10-rc10", "v1.10", "v2"]
    assert sorted(right, key=version_key) == right
    odd = ["2026-01-09", "2026-01-10", "a", "B", "c_1", "c_02", "1", "v1.x"]
    assert sorted(odd, key=version_key) == sorted(odd, key=version_key)


@pytest.mark.parametrize("bad", ["", ".", "../v1", "v1/..", "/etc", ".hidden", "-v", "v 1", "v1\n", "ü", 65 * "v"])
def test_only_plain_names_are_versions(bad: str) -> None:
    assert not valid_version(bad)


@pytest.mark.parametrize(
    ("typed", "best"), [("1.2", "v1.2"), ("V1.2", "v1.2"), ("v1.22", "v1.2"), ("v12", "v1.2"), ("v1.5", "v1.5-rc1")]
)
def test_nearest_versions(typed: str, best: str) -> None:
    found = nearest(typed, VERSIONS)
    assert best in found
    assert len(found) <= 3


async def test_versions_and_resolve(tmp_path: Path) -> None:
    for version in ("v1.9", "v1.10", "v1.2"):
        make(tmp_path, version)
    (tmp_path / ".git").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "README").write_text("not a version")
    images = LocalImages(folder=tmp_path, service=ServiceName("checkout"))
    assert await images.versions() == ("v1.10", "v1.9", "v1.2")
    assert await images.versions(prefix="v1.1") == ("v1.10",)
    assert await images.versions(limit=1) == ("v1.10",)
    release = await images.resolve(version="v1.9")
    assert release.artifact.location == str(tmp_path / "v1.9")
    assert release.artifact.digest.startswith("sha256:")


@pytest.mark.parametrize("version", ["v1.1", "1.10", "../checkout/v1.10", "", "v1.10\0", "notes"])
async def test_unknown_versions_name_the_nearest(tmp_path: Path, version: str) -> None:
    for known in ("v1.9", "v1.10", "v1.2", "v1.3"):
        make(tmp_path, known)
    with pytest.raises(RevisionNotFound) as caught:
        await LocalImages(folder=tmp_path, service=ServiceName("checkout")).resolve(version=version)
    assert 1 <= len(caught.value.suggestions) <= 3
    assert caught.value.token == version


async def test_a_missing_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    images = LocalImages(folder=tmp_path / "nowhere", service=ServiceName("checkout"))
    with pytest.raises(ProviderRejected, match=r"The folder of built versions, .*nowhere, does not exist\."):
        await images.versions()


def test_the_digest_is_of_names_modes_and_contents_only(tmp_path: Path) -> None:
    artifacts = Artifacts()
    one = make(tmp_path / "a", "v1", **{"service.py": "print(1)"})
    other = make(tmp_path / "b", "v1", **{"service.py": "print(1)"})
    digest = artifacts.read(one).digest
    assert artifacts.read(other).digest == digest
    # Written by interpreters and by umasks, not by whoever built it.
    (other / "__pycache__").mkdir()
    (other / "__pycache__" / "x.pyc").write_text("x")
    (other / "service.py").chmod(0o600)
    assert artifacts.read(other).digest == digest
    seen = {digest}
    (other / "service.py").chmod(0o755)
    seen.add(artifacts.read(other).digest)
    (other / "service.py").write_text("print(2)")
    seen.add(artifacts.read(other).digest)
    (other / "sub").mkdir()
    (other / "sub" / "x").write_text("")
    seen.add(artifacts.read(other).digest)
    (other / "sub" / "x").rename(other / "sub" / "y")
    seen.add(artifacts.read(other).digest)
    (other / "link").symlink_to("service.py")
    seen.add(artifacts.read(other).digest)
    assert len(seen) == 6


def test_a_digest_is_computed_again_only_when_something_changed(tmp_path: Path) -> None:
    artifacts = Artifacts()
    place = make(tmp_path, "v1", data="aaaa")
    first = artifacts.read(place).digest
    status = (place / "data").stat()
    # Same size and time: whoever forges both gets the remembered digest, which shows that nothing was read.
    (place / "data").write_text("bbbb")
    os.utime(place / "data", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert artifacts.read(place).digest == first
    os.utime(place / "data", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert artifacts.read(place).digest != first


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (None, "has no release.json"),
        ("{", "is not JSON"),
        ("[]", "must say how to start the service"),
        ('{"command": []}', "must say how to start the service"),
        ('{"command": "python service.py"}', "must say how to start the service"),
        ('{"command": ["a", 1]}', "must say how to start the service"),
        ('{"command": ["a\\u0000"]}', "NUL"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_bad_artifacts(tmp_path: Path, manifest: str | None, words: str) -> None:
    place = tmp_path / "v1"
    place.mkdir()
    if manifest is not None:
        (place / "release.json").write_text(manifest)
    with pytest.raises(ArtifactError, match=words):
        Artifacts().read(place)


def test_links_must_not_lead_out(tmp_path: Path) -> None:
    place = make(tmp_path, "v1")
    (place / "secrets").symlink_to("/etc")
    with pytest.raises(ArtifactError, match="leads out of the artifact"):
        Artifacts().read(place)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    place = make(tmp_path, "v1")
    os.mkfifo(place / "pipe")
    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        Artifacts().read(place)


def test_sample_artifacts_are_written_once(tmp_path: Path) -> None:
    write_artifacts(tmp_path)
    artifacts = Artifacts()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    (tmp_path / "checkout" / "v1.2" / "service.py").write_text("broken by somebody")
    write_artifacts(tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    changed = {path for path in before if before[path] != after[path]}
    assert changed <= {tmp_path / "checkout" / "v1.2" / "service.py"}
    digests = {artifacts.read(tmp_path / service / version).digest for service in SERVICES for version in VERSIONS}
    assert len(digests) == len(SERVICES) * len(VERSIONS)
    assert artifacts.versions(tmp_path / "payments") == ["v1.5-rc1", "v1.4", "v1.3", "v1.2", "v1.1", "v1.0"]
    write_artifact(tmp_path / "own" / "v1", behaviour={"latency": 1})
    assert artifacts.read(tmp_path / "own" / "v1").command[0] == "{python}"
