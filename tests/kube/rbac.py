"""Who a token is and what they may do: RBAC as kubernetes.io/docs/reference/access-authn-authz/rbac describes it.

Seen on a real 1.36 server and kept: a rule with ``resourceNames`` allows LIST and WATCH only where the fieldSelector
asks for exactly ``metadata.name=X``; everybody with a token may ask what they may do (SelfSubjectAccessReview).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import failures
from .resources import BY_PLURAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .resources import Object, Resource
    from .store import Store

PUBLIC = frozenset({"/healthz", "/livez", "/readyz", "/version", "/version/"})
DISCOVERY = ("/api", "/apis", "/openapi")


@dataclass(frozen=True, slots=True)
class User:
    """Whom a token or a client certificate names."""

    name: str
    groups: frozenset[str] = frozenset({"system:authenticated"})


ANONYMOUS = User("system:anonymous", frozenset({"system:unauthenticated"}))
ADMIN = User("kubernetes-admin", frozenset({"system:authenticated", "system:masters"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One thing that somebody wants to do."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass
class Authoriser:
    """Tokens, and the rules that were given to users directly; the rest is read from the bindings in the store."""

    store: Store
    tokens: dict[str, User] = field(default_factory=dict)
    given: list[tuple[str, str | None, Sequence[Mapping[str, Any]]]] = field(default_factory=list)
    """(user, namespace or everywhere, rules)"""

    def who(self, authorization: str | None, certificate: str | None = None) -> User:
        """Raises ApiFailure (401) for a token that is nobody's."""
        if authorization:
            kind, _, token = authorization.partition(" ")
            user = self.tokens.get(token.strip()) if kind.lower() == "bearer" else None
            if user is None:
                raise failures.unauthorized()
            return user
        return User(certificate) if certificate else ANONYMOUS

    def allows(self, user: User, ask: Ask) -> bool:
        if "system:masters" in user.groups:
            return True
        if ask.resource in ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"):
            return "system:authenticated" in user.groups
        return any(_covers(rule, ask) for rule in self._rules(user, ask.namespace))

    def require(self, user: User, ask: Ask, resource: Resource) -> None:
        """Raises ApiFailure (403)."""
        if self.allows(user, ask):
            return
        what = f"{ask.resource}/{ask.subresource}" if ask.subresource else ask.resource
        where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
        said = f'User "{user.name}" cannot {ask.verb} resource "{what}" in API group "{ask.group}" {where}'
        raise failures.forbidden(resource, ask.name, said)

    def review(self, user: User, review: Object) -> Object:
        """The answer to a SelfSubjectAccessReview."""
        wanted = (review.get("spec") or {}).get("resourceAttributes")
        if not wanted:
            paths = (review.get("spec") or {}).get("nonResourceAttributes") or {}
            allowed = paths.get("path") in PUBLIC or "system:masters" in user.groups
        else:
            ask = Ask(
                verb=wanted.get("verb", ""),
                group=wanted.get("group", ""),
                resource=wanted.get("resource", ""),
                subresource=wanted.get("subresource", ""),
                namespace=wanted.get("namespace", ""),
                name=wanted.get("name", ""),
            )
            allowed = self.allows(user, ask)
        status: Object = {"allowed": allowed}
        if allowed:
            status["reason"] = f'RBAC: allowed to User "{user.name}"'
        return {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {"creationTimestamp": None},
            "spec": review.get("spec") or {},
            "status": status,
        }

    def _rules(self, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
        for name, where, rules in self.given:
            if name == user.name and where in (None, namespace):
                yield from rules
        for binding in self.store.all(BY_PLURAL["clusterrolebindings"]):
            if _binds(binding, user):
                yield from self._role(binding, "")
        if namespace:
            for binding in self.store.all(BY_PLURAL["rolebindings"], namespace):
                if _binds(binding, user):
                    yield from self._role(binding, namespace)

    def _role(self, binding: Object, namespace: str) -> Iterable[Mapping[str, Any]]:
        reference = binding["roleRef"]
        cluster = reference["kind"] == "ClusterRole"
        role = self.store.get(
            BY_PLURAL["clusterroles" if cluster else "roles"], "" if cluster else namespace, reference["name"]
        )
        return (role or {}).get("rules") or []


def _binds(binding: Object, user: User) -> bool:
    for subject in binding.get("subjects") or []:
        match subject["kind"]:
            case "User" if subject["name"] == user.name:
                return True
            case "Group" if subject["name"] in user.groups:
                return True
            case "ServiceAccount":
                space = subject.get("namespace") or binding["metadata"].get("namespace", "")
                if user.name == f"system:serviceaccount:{space}:{subject['name']}":
                    return True
    return False


def _covers(rule: Mapping[str, Any], ask: Ask) -> bool:
    full = f"{ask.resource}/{ask.subresource}" if ask.subresource else ask.resource
    named = {full, "*"} | ({f"*/{ask.subresource}"} if ask.subresource else set())
    names = rule.get("resourceNames") or []
    return (
        bool({ask.verb, "*"} & set(rule.get("verbs") or []))
        and bool({ask.group, "*"} & set(rule.get("apiGroups") or []))
        and bool(named & set(rule.get("resources") or []))
        and (not names or ask.name in names)
    )
