"""Three services to deploy in the sandbox, in versions good and bad. Writes only into the folder that it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SERVICES = ("checkout", "catalog", "payments")
VERSIONS = ("v1.0", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5-rc1")

_LATENCY = {"checkout": 4, "catalog": 2, "payments": 6}
_BEHAVIOUR: dict[str, dict[str, Any]] = {
    "v1.3": {"error_rate": 0.08},
    "v1.5-rc1": {"healthy": False},
}
# Without site-packages and user settings an interpreter starts twice as fast.
_COMMAND = ["{python}", "-S", "-E", "-s", "service.py"]


def write_artifacts(folder: Path) -> None:
    """Write ``<folder>/<service>/<version>/`` for every sample; what is there and right is left as it is."""
    program = Path(__file__).with_name("service.py").read_bytes()
    for service in SERVICES:
        for version in VERSIONS:
            behaviour = {"latency": _LATENCY[service], **_BEHAVIOUR.get(version, {})}
            write_artifact(folder / service / version, behaviour=behaviour, program=program)


def write_artifact(folder: Path, *, behaviour: dict[str, Any], program: bytes | None = None) -> None:
    """Write one artifact of the sample service with that ``behaviour`` (see `service`) into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    if program is None:
        program = Path(__file__).with_name("service.py").read_bytes()
    # The version is named too, so that no two versions are the same bytes.
    release = {"version": folder.name, "command": _COMMAND, "behaviour": behaviour}
    _write(folder / "service.py", program)
    _write(folder / "release.json", (json.dumps(release, indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    # Rewriting would change its time, and with it make every digest be computed again.
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)
        path.chmod(0o644)
