"""The agent: one detached process for each root folder that keeps services running, as a kubelet does.

It outlives whoever started it. Its instances outlive it: a new agent adopts them from what was written down.
"""

from __future__ import annotations
