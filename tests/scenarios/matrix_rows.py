"""The catalog of the authorisation matrix, its people, and who may do what there, worked out from the text alone.

Must not use anything of the bot but the names of its actions: it is what the bot's answers are held against.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

import yaml

from bot.domain.policy.access import Action

REASON = 'reason="for the test"'

ONLY = {action: f"only-{action.replace('_', '-')}" for action in Action}
"""A role for each action, with that action alone and one member."""
_EVERY = ", ".join(Action)
_ROLES = f"""\
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - {{ actions: [deploy, rollback, abort, resolve, lock, schedule], environments: [staging] }}
      - {{ actions: [deploy, abort, lock], services: ["*"], environments: [production] }}
  release-manager:
    members: ["@release-managers"]
    allow:
      - {{ actions: "*" }}
      - {{ actions: [configure, override_freeze, break_glass], services: "*", environments: "prod*" }}
  operator:
    members: [U0CHIEF, U0SECOND]
    allow:
      - {{ actions: [{_EVERY}] }}
  suspended:
    members: [U0DORA]
    deny:
      - {{ actions: "*" }}
"""
_ONLY = """\
  {role}:
    members: [{person}]
    allow:
      - {{ actions: [{action}] }}
"""
_CATALOG = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
environments:
  staging: {{ approval: {{ expires: 12h }} }}
  production: {{ protected: true, approval: {{ expires: 12h }} }}
defaults:
  health: {{ path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 60s }}
  deadline: 120s
metrics:
  probe: {{ type: http_probe, address: "{probe}", measure: errors, probes: 1, pause: 0 }}
checks:
  answers: {{ source: probe, query: "/{{environment}}/{{version}}", limit: 50, unit: "%", min_samples: 0,
             interval: 1h, window: 1s, failures: 1, of: 1 }}
strategies:
  canary:
    canary:
      steps:
{steps}
        - {{ weight: 90, bake: 6h }}
      timeout: 12h
      on_timeout: hold
services:
  checkout:
    target: {{ type: local, root: platform, instances: 1, start_timeout: 60 }}
    images: {{ type: local, folder: artifacts/checkout }}
    checks: [answers]
    countdown: 6h
  catalog:
    health: {{ path: /health, interval: 0.05, timeout: 2s, passes: 24, deadline: 60s }}
    target: {{ type: local, root: platform, instances: 1, start_timeout: 60 }}
    images: {{ type: local, folder: artifacts/catalog }}
  payments:
    target: {{ type: local, root: platform, instances: 1, start_timeout: 60 }}
    images: {{ type: local, folder: artifacts/payments }}
"""
ONLY_PEOPLE = {action: f"U0ONLY{number:02d}" for number, action in enumerate(Action)}
_STEPS = "\n".join(f"        - {{ weight: {weight}, approval: true }}" for weight in range(4, 80, 4))
"""As many as a canary may have, so that one can be promoted often."""


def catalog_text(probe: str = "http://127.0.0.1:9") -> str:
    """The catalog; ``probe`` is the address of what knows which version of the rolled-out service is bad."""
    only = (_ONLY.format(role=role, person=ONLY_PEOPLE[action], action=action) for action, role in ONLY.items())
    return _CATALOG.format(probe=probe, steps=_STEPS) + _ROLES + "".join(only)


STUCK, WAITS, ROLLS = "catalog", "payments", "checkout"
"""Of the first service a deployment needs attention in each environment, and whatever follows is queued behind it; of
the second nothing is under way; the third is rolled out in steps."""

WORDS = {
    Action.DEPLOY: "deploy",
    Action.ROLLBACK: "roll back",
    Action.ABORT: "abort",
    Action.RESOLVE: "resolve",
    Action.APPROVE: "approve",
    Action.LOCK: "lock",
    Action.UNLOCK: "unlock",
    Action.OVERRIDE_FREEZE: "override a freeze for",
    Action.BREAK_GLASS: "break the glass for",
    Action.RUN_NEXT: "change the queue of",
    Action.SCHEDULE: "schedule",
    Action.CONFIGURE: "freeze or unfreeze",
    Action.PROMOTE: "promote",
}
"""How a refusal calls what somebody may not do."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the catalog's roles."""

    role: str
    denies: bool
    members: frozenset[str]
    actions: frozenset[str]
    services: tuple[str, ...]
    environments: tuple[str, ...]

    def speaks_of(self, action: Action, service: str, environment: str) -> bool:
        return (
            action.value in self.actions
            and any(fnmatchcase(service, glob) for glob in self.services)
            and any(fnmatchcase(environment, glob) for glob in self.environments)
        )


@dataclass(frozen=True)
class Rows:
    """Who may do what, by the catalog's text."""

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, text: str) -> Rows:
        found = []
        for role, block in yaml.safe_load(text)["roles"].items():
            for effect in ("allow", "deny"):
                for row in block.get(effect, []):
                    actions = row["actions"]
                    if actions == "*" and effect == "allow":
                        actions = {*Action} - {"break_glass", "override_freeze", "configure"}
                    elif actions == "*":
                        actions = {*Action}
                    found.append(
                        Row(
                            role=role,
                            denies=effect == "deny",
                            members=frozenset(block["members"]),
                            actions=frozenset(str(action) for action in actions),
                            services=_globs(row.get("services", "*")),
                            environments=_globs(row.get("environments", "*")),
                        )
                    )
        return cls(tuple(found))

    def answer(self, who: Somebody, action: Action, service: str, environment: str) -> tuple[bool, list[str]]:
        """Whether somebody may, and if not what the refusal must hold."""
        about = [row for row in self.rows if row.speaks_of(action, service, environment)]
        mine = [row for row in about if row.members & who.called]
        if denying := [row.role for row in mine if row.denies]:
            return False, [f"role {denying[0]} denies {action}", service, environment]
        if mine:
            return True, []
        holders = [row.role for row in about if not row.denies]
        assert holders, f"nobody holds {action}: the catalog of this test is too small"
        return False, [f"may not {WORDS[action]} {service} in {environment}", *holders]


def _globs(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True)
class Somebody:
    """A person of the matrix."""

    person: str
    what: str
    groups: tuple[str, ...] = ()

    @property
    def called(self) -> set[str]:
        """What a row may call them by."""
        return {self.person, *(f"@{handle}" for handle in self.groups)}


CHIEF, SECOND = Somebody("U0CHIEF", "the operator"), Somebody("U0SECOND", "the other operator")
ADA = Somebody("U0ADA", "a deployer", ("deployers",))
GRACE = Somebody("U0GRACE", "a release manager", ("release-managers",))
LINUS = Somebody("U0LINUS", "nobody in particular")
DORA = Somebody("U0DORA", "a suspended release manager", ("release-managers",))


def only(right: Action) -> Somebody:
    """Somebody with that right alone."""
    return Somebody(ONLY_PEOPLE[right], f"somebody who may {right} and nothing else")


def people_for(right: Action) -> list[Somebody]:
    """Who tries an act: two roles, the right alone, another right alone, no role, and one who is denied everything."""
    others = [action for action in Action if action is not right]
    another = others[list(Action).index(right) % len(others)]
    return [
        ADA,
        GRACE,
        only(right),
        only(another),
        LINUS,
        DORA,
    ]
