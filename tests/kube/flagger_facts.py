"""What is read from a Canary and its target, again and again. The hashes are not Flagger's own."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from .copying import deepcopy
from .revisions import bare

if TYPE_CHECKING:
    from .resources import Object


def template_hash(deployment: Object) -> str:
    text = json.dumps(bare(deployment["spec"]["template"]), sort_keys=True)
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))


def checksum(canary: Object) -> str:
    return hashlib.sha256((canary.get("status") or {}).get("lastAppliedSpec", "").encode()).hexdigest()[:8]


def primary_template(target: Object) -> Object:
    template = deepcopy(target["spec"]["template"])
    template["metadata"]["labels"]["app"] = f"{target['metadata']['name']}-primary"
    return dict(template)


def phase_of(canary: Object) -> str:
    return str((canary.get("status") or {}).get("phase", ""))


def analysis_of(canary: Object) -> Object:
    return dict(canary["spec"].get("analysis") or {})


def hooks_of(canary: Object, kind: str) -> list[Object]:
    return [each for each in analysis_of(canary).get("webhooks") or [] if (each.get("type") or "rollout") == kind]


def place_of(canary: Object) -> tuple[str, str]:
    return canary["metadata"]["namespace"], canary["metadata"]["name"]


def name_of(canary: Object) -> str:
    return f"{canary['metadata']['name']}.{canary['metadata']['namespace']}"


def target_of(canary: Object) -> str:
    return f"{canary['spec']['targetRef']['name']}.{canary['metadata']['namespace']}"
