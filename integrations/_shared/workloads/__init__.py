"""Pods behind a template, as plain rollouts, Flagger and Argo Rollouts all change, judge and explain them.

Whose way of rolling out it is stands with each of them; here is what they have in common.
"""

from __future__ import annotations
