"""Who did what to a workload, read off the cluster's own books."""

from __future__ import annotations

from typing import Any

import pytest

from integrations._shared.kube.api import MANAGER
from integrations._shared.workloads.owners import who_set


def entry(manager: str, time: str, *containers: str) -> dict[str, Any]:
    fields = {f'k:{{"name":"{name}"}}': {"f:image": {}} for name in containers}
    spec = {"f:template": {"f:spec": {"f:containers": fields}}}
    return {"manager": manager, "time": f"2026-11-23T{time}Z", "fieldsV1": {"f:spec": spec}}


def books(*entries: dict[str, Any]) -> dict[str, Any]:
    containers = [{"name": "web", "image": "r/web:1"}, {"name": "side", "image": "r/side:1"}]
    return {"metadata": {"managedFields": list(entries)}, "spec": {"template": {"spec": {"containers": containers}}}}


MADE, OURS = entry("kubectl-create", "09:00:00", "web", "side"), entry(MANAGER, "10:00:00", "web")


@pytest.mark.parametrize(
    ("one", "who"),
    [
        pytest.param(
            books(entry("kubectl-rollout", "11:00:00", "web"), MADE), "kubectl-rollout at 11:00:00 UTC", id="undone"
        ),
        pytest.param(
            books(OURS, entry("helm", "11:00:00", "side"), MADE), "helm at 11:00:00 UTC", id="another container"
        ),
        pytest.param(books(MADE, OURS), "", id="nobody after us"),
        pytest.param(books(entry("kubectl-edit", "10:00:00", "side"), OURS), "", id="it cannot be told"),
        pytest.param(books(), "", id="no books"),
    ],
)
def test_who_set_an_image_after_us(one: dict[str, Any], who: str) -> None:
    assert who_set(one) == who
