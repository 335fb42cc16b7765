"""A strict stand-in for a Kubernetes cluster, driven over the wire by the real client; it runs no containers."""

from __future__ import annotations
