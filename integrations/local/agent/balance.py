"""Smooth weighted round robin: over any few requests each choice gets its share, evenly spread. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Balancer:
    """Deals choices out by weight; deterministic, so 1 % is one request in every hundred."""

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def pick(self, weights: Mapping[str, float]) -> str | None:
        """The next choice; None when no weight is above zero."""
        total = 0.0
        best: str | None = None
        credit = self._credit
        for name, weight in weights.items():
            if weight <= 0:
                continue
            total += weight
            credit[name] = credit.get(name, 0.0) + weight
            if best is None or credit[name] > credit[best]:
                best = name
        if best is None:
            return None
        credit[best] -= total
        if len(credit) > len(weights):
            # Who left and comes back later starts without old credit or debt.
            self._credit = {name: value for name, value in credit.items() if name in weights}
        return best


def shares(*, ready: Mapping[str, int], weights: Mapping[str, int] | None, target: str | None) -> dict[str, float]:
    """Percent of the traffic for each build that has ``ready`` instances.

    ``weights`` are the split that was asked for; without it every instance gets the same. While a rollout brings
    ``target``, it gets by its instances but never less than the split had given it, so promoting a canary never
    sends traffic back.
    """
    alive = {key: count for key, count in ready.items() if count > 0}
    everything = sum(alive.values())
    if not everything:
        return {}
    even = {key: 100.0 * count / everything for key, count in alive.items()}
    if weights is None:
        return even
    if target is not None:
        if target not in alive:
            return _scaled({key: float(weights.get(key, 0)) for key in alive}) or even
        part = max(even[target], float(weights.get(target, 0)))
        rest = _scaled({key: count for key, count in even.items() if key != target}, to=100.0 - part)
        return {**rest, target: part if rest else 100.0}
    # A version whose instances are all gone loses its part to the others rather than failing requests.
    return _scaled({key: float(weights.get(key, 0)) for key in alive}) or even


def _scaled(parts: Mapping[str, float], *, to: float = 100.0) -> dict[str, float]:
    total = sum(parts.values())
    return {key: to * part / total for key, part in parts.items()} if total else {}
