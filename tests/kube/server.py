"""A strict stand-in for a Kubernetes API server, for tests: `KubeServer.running()`, and the real client in front of it.

What it does and where that is known from is told at the top of each module beside it; what a real 1.36 server was
seen to do is checked against a recording in tests/integration/kubernetes/test_kube_fake_recording.py. It serves on
127.0.0.1 and runs no containers: `deployments`, `flagger` and `argo` hold the controllers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from . import failures
from .apply import Manager
from .faults import Faults
from .front import Front, Wanted
from .housekeeping import Housekeeper
from .rbac import ADMIN, Authoriser, User
from .registry import Registry
from .resources import BY_KIND, BY_PLURAL
from .store import Store
from .tls import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from .resources import Object, Resource
    from .tls import Pair

SETUP = Manager("kubectl-create")
"""Who is written down as the maker of what a test puts there."""


@dataclass(slots=True)
class Call:
    """One request that was understood."""

    verb: str
    path: str
    query: dict[str, str]
    content_type: str
    user: str
    dry_run: bool
    body: Any = None
    resource: str = ""
    subresource: str = ""
    code: int = 0

    @property
    def writes(self) -> bool:
        return self.verb in ("create", "update", "patch", "delete", "deletecollection") and not self.dry_run


@dataclass
class KubeServer:
    """One cluster. ``log`` holds the calls, ``faults`` what shall go wrong."""

    url: str
    folder: Path
    """Certificates and kubeconfigs of this server."""
    token: str
    authority: Authority | None = None
    store: Store = field(default_factory=Store)
    faults: Faults = field(default_factory=Faults)
    log: list[Call] = field(default_factory=list)
    logs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(namespace, pod, container) -> what it wrote; ``container`` with "/previous" behind it: before it crashed."""
    closing: bool = False

    def __post_init__(self) -> None:
        self.registry = Registry(self.store)
        self.authoriser = Authoriser(self.store)
        self.authoriser.tokens[self.token] = ADMIN
        self.faults.wake = self.store.wake
        for name in ("default", "kube-system"):
            self.add("namespaces", None, {"metadata": {"name": name}})

    @classmethod
    @asynccontextmanager
    async def running(
        cls, *, tls: bool = False, token: str = "t", port: int = 0, housekeeping: bool = True
    ) -> AsyncIterator[Self]:
        """A server on 127.0.0.1; ``token`` may do everything. It is gone at the end, open watches too."""
        with tempfile.TemporaryDirectory(prefix="kube-") as folder:
            authority = Authority() if tls else None
            server = cls(url="", folder=Path(folder), token=token, authority=authority)
            app = web.Application(client_max_size=2**22)
            app.router.add_route("*", "/{path:.*}", Front(server).handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            context = authority.context(server.folder) if authority else None
            site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
            await site.start()
            host, bound = runner.addresses[0][:2]
            server.url = f"{'https' if tls else 'http'}://{host}:{bound}"
            keeper = asyncio.create_task(Housekeeper(server).run()) if housekeeping else None
            try:
                yield server
            finally:
                server.closing = True
                server.store.wake()
                if keeper is not None:
                    keeper.cancel()
                    await asyncio.gather(keeper, return_exceptions=True)
                await runner.cleanup()

    # What a test puts there and looks at, past HTTP and past permissions.

    def add(self, kind: str, namespace: str | None, wanted: Mapping[str, Any]) -> Object:
        """Create an object, and its namespace where it is missing. ``kind`` is the plural."""
        resource = BY_PLURAL[kind]
        if resource.namespaced and self.store.get(BY_PLURAL["namespaces"], None, str(namespace)) is None:
            self.add("namespaces", None, {"metadata": {"name": namespace}})
        made = self.registry.create(resource, namespace, json.loads(json.dumps(wanted)), manager=SETUP)
        if "status" in wanted and kind != "namespaces":
            made = self.change(kind, namespace, made["metadata"]["name"], {"status": wanted["status"]}, status=True)
        return made

    def load(self, namespace: str, *manifests: Mapping[str, Any]) -> None:
        """Create objects from manifests, whatever their kinds are."""
        for each in manifests:
            resource = BY_KIND[each["apiVersion"], each["kind"]]
            self.add(
                resource.plural, each["metadata"].get("namespace", namespace) if resource.namespaced else None, each
            )

    def get(self, kind: str, namespace: str | None, name: str) -> Object:
        """Raises KeyError where it is not there."""
        found = self.store.get(BY_PLURAL[kind], namespace, name)
        if found is None:
            raise KeyError(f"{kind} {namespace}/{name}")
        return found

    def find(self, kind: str, namespace: str | None, name: str) -> Object | None:
        return self.store.get(BY_PLURAL[kind], namespace, name)

    def all(self, kind: str, namespace: str | None = None) -> list[Object]:
        return self.store.all(BY_PLURAL[kind], namespace)

    def change(
        self, kind: str, namespace: str | None, name: str, patch: Mapping[str, Any] | Callable[[Object], Object], *,
        manager: str = "kubectl-edit", status: bool = False,
    ) -> Object:  # fmt: skip
        """Write as somebody else would: a merge patch, or what a function makes of the object."""
        from .patches import merge_patch

        def merge(live: Object) -> Object:
            return patch(live) if callable(patch) else dict(merge_patch(live, patch))

        by = Manager(manager, "Update", "status" if status else "")
        return self.registry.update(BY_PLURAL[kind], namespace, name, merge, manager=by)

    def delete(self, kind: str, namespace: str | None, name: str, **options: Any) -> None:
        self.registry.delete(BY_PLURAL[kind], namespace, name, options)

    async def until(self, condition: Callable[[], Any], timeout: float = 5.0) -> Any:
        """Wait for something to be so in the store; what ``condition`` said. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not (said := condition()):
                await self.store.news(len(self.store.changes))
        return said

    # Who may reach it, and how.

    def allow(
        self, token: str, rules: Sequence[Mapping[str, Any]], *, user: str = "system:serviceaccount:shop:deployer",
        namespace: str | None = None,
    ) -> None:  # fmt: skip
        """``token`` is ``user``, who may do what ``rules`` (as in a Role) say; only in ``namespace`` if given."""
        self.issue(token, user)
        self.authoriser.given.append((user, namespace, rules))

    def issue(self, token: str, user: str = ADMIN.name) -> None:
        """A token for ``user``; what it may do is in the rules and bindings."""
        groups = {"system:authenticated"}
        if user.startswith("system:serviceaccount:"):
            groups |= {"system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"}
        self.authoriser.tokens[token] = ADMIN if user == ADMIN.name else User(user, frozenset(groups))

    def expire(self, token: str) -> None:
        """The token is nobody's from now on: 401."""
        self.authoriser.tokens.pop(token, None)

    def client_certificate(self, user: str) -> Pair:
        """Only with TLS: signed by the server's CA, good for ``user``."""
        assert self.authority is not None
        return self.authority.client(user)

    def access(self, *, token: str | None = None, name: str = "main") -> Any:
        """A `ClusterAccess` that always says the same."""
        from .reach import StaticAccess

        return StaticAccess(self, self.token if token is None else token, name)

    def kubeconfig(self, folder: Path | None = None, *, token: str | None = None, context: str = "test") -> Path:
        """A kubeconfig file with one context."""
        cluster: Object = {"server": self.url}
        if self.authority is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self.authority.pem).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": {"token": self.token if token is None else token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": "shop"}}],
            "current-context": context,
        }
        path = (folder or self.folder) / "kubeconfig"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path

    # For the front.

    def record(self, request: web.Request, user: User, wanted: Wanted | None, body: Any = None) -> Call:
        verb = wanted.verb if wanted else "create"
        call = Call(
            verb, request.path, dict(request.query), request.content_type if request.body_exists else "", user.name,
            bool(wanted and wanted.dry_run), wanted.body if wanted else body,
            wanted.resource.plural if wanted else "selfsubjectaccessreviews", wanted.subresource if wanted else "",
        )  # fmt: skip
        self.log.append(call)
        return call

    def logs_of(self, namespace: str, name: str, query: Mapping[str, str]) -> str:
        """What a container wrote. Raises ApiFailure: 400, 404."""
        pod = self.registry.read(BY_PLURAL["pods"], namespace, name)
        names = [each["name"] for each in pod["spec"]["containers"]]
        container = query.get("container") or (names[0] if len(names) == 1 else "")
        if not container:
            said = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
            raise failures.bad_request(said)
        if container not in names:
            raise failures.bad_request(f"container {container} is not valid for pod {name}")
        previous = query.get("previous", "").lower() in ("1", "true")
        text = self.logs.get((namespace, name, f"{container}/previous" if previous else container))
        if text is None and previous:
            said = f'previous terminated container "{container}" in pod "{name}" not found'
            raise failures.bad_request(said)
        states = {each["name"]: each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses", [])}
        waiting = states.get(container, {}).get("waiting")
        if text is None and (waiting or container not in states):
            why = (waiting or {}).get("reason", "ContainerCreating")
            why = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}.get(
                why, why
            )
            raise failures.bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')
        lines = (text or "").splitlines(keepends=True)
        tail = query.get("tailLines")
        return "".join(lines[-int(tail) :] if tail and int(tail) else [] if tail else lines)


def resource_of(kind: str) -> Resource:
    """By plural."""
    return BY_PLURAL[kind]
