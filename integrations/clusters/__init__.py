"""How Kubernetes clusters are reached: each module builds a `ClusterAccess`, and none talks to a cluster itself."""

from __future__ import annotations
