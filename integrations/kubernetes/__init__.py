"""Deployments in Kubernetes clusters, rolled out by the cluster itself. Imports nothing until it is asked for."""

from __future__ import annotations
