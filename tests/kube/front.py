"""HTTP in front of the rules: which request means which verb on what, and in which form the answer goes out.

Follows kubernetes.io/docs/reference/using-api/api-concepts and /kubectl (paths, verbs, media types, ``dryRun=All``,
``fieldManager``). Keeps no state of its own.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

from . import discovery, failures, patches, reading, streaming
from .apply import Manager
from .failures import ApiFailure
from .rbac import DISCOVERY, PUBLIC, Ask
from .resources import BY_PATH, BY_PLURAL, LOG, SCALE
from .selectors import only_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rbac import User
    from .resources import Object, Resource
    from .server import KubeServer

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Cut(Exception):
    """The connection is to be broken off instead of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request is about."""

    verb: str
    resource: Resource
    namespace: str | None
    name: str
    subresource: str
    query: dict[str, str]
    media: str
    body: Any
    agent: str

    @property
    def dry_run(self) -> bool:
        asked = self.query.get("dryRun") or (
            self.body.get("dryRun") if isinstance(self.body, dict) and self.verb == "delete" else ""
        )
        asked = asked[0] if isinstance(asked, list) and asked else asked
        if asked and asked != "All":
            raise failures.bad_request(f'dryRun: Unsupported value: "{asked}": supported values: "All"')
        return asked == "All"

    def manager(self) -> Manager:
        name = self.query.get("fieldManager", "")
        applying = self.verb == "patch" and self.media == patches.APPLY
        if applying and not name:
            raise ApiFailure(
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
                details={"group": "meta.k8s.io", "kind": "PatchOptions"},
            )
        sub = self.subresource if self.subresource in self.resource.subresources else ""
        return Manager(name or self.agent.partition("/")[0] or "unknown", "Apply" if applying else "Update", sub)


async def understand(request: web.Request) -> Wanted | None:
    """None for paths that are no resource's. Raises ApiFailure (400, 404, 405)."""
    parts = request.path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = BY_PATH.get((group, version, rest[0]))
    if resource is None or (namespace is not None) > resource.namespaced or len(rest) > 3:
        raise failures.no_such_path()
    name, subresource = ([*rest, "", ""])[1:3]
    if subresource and subresource not in resource.subresources:
        raise failures.no_such_path()
    query = dict(request.query)
    media = request.content_type if request.body_exists else ""
    watching = query.get("watch", "").lower() in ("1", "true")
    verb = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(
        request.method, ""
    )
    if verb == "get" and not name:
        verb = "watch" if watching else "list"
    elif verb == "delete" and not name:
        verb = "deletecollection"
    bare = (verb == "create") == bool(name) if verb in ("create", "update", "patch") else False
    if not verb or bare or (resource.namespaced and namespace is None and (name or verb == "create")):
        raise failures.method_not_allowed(resource, request.method)
    return Wanted(
        verb=verb, resource=resource, namespace=namespace, name=name, subresource=subresource, query=query, media=media,
        body=await _body(request, media), agent=request.headers.get("User-Agent", ""),
    )  # fmt: skip


async def _body(request: web.Request, media: str) -> Any:
    raw = await request.read()
    if not raw:
        return {}
    try:
        return yaml.safe_load(raw) if "yaml" in media else json.loads(raw)
    except (ValueError, yaml.YAMLError):
        raise failures.bad_request(
            "the object provided is unrecognized: couldn't get version/kind; json parse error"
        ) from None


class Front:
    """Answers requests for one server."""

    def __init__(self, server: KubeServer) -> None:
        self._server = server

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._handle(request)
        except ApiFailure as failure:
            headers = {"Retry-After": str(failure.retry_after)} if failure.retry_after is not None else {}
            return web.json_response(failure.status(), status=failure.code, headers=headers)
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        server, faults = self._server, self._server.faults
        if faults.latency:
            await asyncio.sleep(faults.latency)
        if faults.is_down:
            raise Cut
        if request.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        user = server.authoriser.who(request.headers.get("Authorization"), _certificate(request))
        if request.path.startswith("/apis/authorization.k8s.io/v1/selfsubject") and request.method == "POST":
            return self._review(user, await _body(request, request.content_type), request)
        wanted = await understand(request)
        if wanted is None:
            return self._told(request, user)
        call = server.record(request, user, wanted)
        try:
            if refusal := faults.refusal(wanted.verb, request.path):
                raise refusal
            self._authorise(user, wanted)
            if wanted.verb == "watch":
                call.code = 200
                return await streaming.watch(server, request, wanted.resource, wanted.namespace, wanted.query)
            if faults.under_way is not None and call.writes:
                await faults.under_way(call)
            code, answer = self._answer(wanted)
        except ApiFailure as failure:
            call.code = failure.code
            if faults.under_way is not None and call.writes:
                await faults.under_way(call)
            raise
        call.code = code
        if faults.under_way is not None and call.writes:
            await faults.under_way(call)
        if faults.loses(wanted.verb, request.path):
            raise Cut
        if isinstance(answer, str):
            return web.Response(text=answer)
        return web.json_response(answer, status=code)

    def _told(self, request: web.Request, user: User) -> web.Response:
        if request.path not in PUBLIC and "system:authenticated" not in user.groups:
            said = f'forbidden: User "{user.name}" cannot get path "{request.path}"'
            raise ApiFailure(403, "Forbidden", said)
        known = request.path in PUBLIC or request.path.startswith(DISCOVERY)
        found = discovery.document(request.path) if known else None
        if found is None:
            raise failures.no_such_path()
        return web.json_response(found)

    def _review(self, user: User, body: Object, request: web.Request) -> web.Response:
        if "system:authenticated" not in user.groups:
            said = (
                f'selfsubjectaccessreviews.authorization.k8s.io is forbidden: User "{user.name}" cannot create resource'
            )
            raise ApiFailure(403, "Forbidden", said)
        self._server.record(request, user, None, body).code = 201
        return web.json_response(self._server.authoriser.review(user, body), status=201)

    def _authorise(self, user: User, wanted: Wanted) -> None:
        name = wanted.name
        if wanted.verb in ("list", "watch", "deletecollection"):
            name = only_name(wanted.query.get("fieldSelector", "")) or ""
        # The API server says so too: a namespace is in itself.
        namespace = wanted.name if wanted.resource.plural == "namespaces" else wanted.namespace or ""
        ask = Ask(
            verb=wanted.verb, group=wanted.resource.group, resource=wanted.resource.plural,
            subresource=wanted.subresource, namespace=namespace, name=name,
        )  # fmt: skip
        self._server.authoriser.require(user, ask, wanted.resource)
        if wanted.verb == "patch" and wanted.media == patches.APPLY and not self._exists(wanted):
            self._server.authoriser.require(user, replace(ask, verb="create"), wanted.resource)

    def _exists(self, wanted: Wanted) -> bool:
        return self._server.store.get(wanted.resource, wanted.namespace, wanted.name) is not None

    def _answer(self, wanted: Wanted) -> tuple[int, Object | str]:
        registry, resource = self._server.registry, wanted.resource
        place = (resource, wanted.namespace, wanted.name)
        if wanted.subresource == LOG:
            return 200, self._server.logs_of(wanted.namespace or "", wanted.name, wanted.query)
        match wanted.verb:
            case "get":
                found = registry.read(*place)
                return 200, _scale(resource, found) if wanted.subresource == SCALE else found
            case "list":
                scope = reading.Scope.of(resource, wanted.namespace, wanted.query)
                gone = bool(wanted.query.get("continue")) and self._server.faults.gone_continue > 0
                self._server.faults.gone_continue -= gone
                return 200, reading.listed(self._server.store, scope, wanted.query, gone=gone)
            case "create":
                made = registry.create(
                    resource, wanted.namespace, wanted.body, manager=wanted.manager(), dry_run=wanted.dry_run
                )
                return 201, made
            case "update":
                return 200, self._change(wanted, lambda _live: dict(wanted.body))
            case "patch":
                return self._patch(wanted)
            case "delete":
                options = {**wanted.body, **{k: v for k, v in wanted.query.items() if k == "propagationPolicy"}}
                return 200, registry.delete(*place, options, dry_run=wanted.dry_run)
        scope = reading.Scope.of(resource, wanted.namespace, wanted.query)
        for each in self._server.store.all(resource, wanted.namespace):
            if scope.holds(each):
                registry.delete(
                    resource, wanted.namespace, each["metadata"]["name"], wanted.body, dry_run=wanted.dry_run
                )
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _patch(self, wanted: Wanted) -> tuple[int, Object]:
        body, custom = wanted.body, wanted.resource.custom
        accepted = [patches.JSON_PATCH, patches.MERGE, *([] if custom else [patches.STRATEGIC]), patches.APPLY]
        if wanted.media not in accepted:
            raise failures.unsupported_media_type(accepted)
        force = wanted.query.get("force", "").lower() in ("1", "true")
        if wanted.media == patches.APPLY and wanted.subresource in ("", "status"):
            found, created = self._server.registry.server_side_apply(
                wanted.resource, wanted.namespace, wanted.name, body, manager=wanted.manager(), force=force,
                dry_run=wanted.dry_run,
            )  # fmt: skip
            return (201 if created else 200), found
        if force:
            said = "force: Forbidden: may not be specified for non-apply patch"
            raise ApiFailure(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {said}')
        if wanted.media != patches.JSON_PATCH and not isinstance(body, dict):
            raise failures.bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map")
        how: dict[str, Callable[[Object, Any], Object]] = {
            patches.JSON_PATCH: patches.json_patch,
            patches.MERGE: patches.merge_patch,
        }
        chosen: Callable[[Object, Any], Object] = how.get(wanted.media) or patches.strategic_merge
        return 200, self._change(wanted, lambda live: chosen(live, body))

    def _change(self, wanted: Wanted, change: Any) -> Object:
        registry, resource = self._server.registry, wanted.resource

        def through_scale(live: Object) -> Object:
            live["spec"]["replicas"] = change(_scale(resource, live)).get("spec", {}).get("replicas", 0)
            return live

        scaling = wanted.subresource == SCALE
        found = registry.update(
            resource, wanted.namespace, wanted.name, through_scale if scaling else change, manager=wanted.manager(),
            dry_run=wanted.dry_run,
        )  # fmt: skip
        return _scale(resource, found) if scaling else found


def _scale(resource: Resource, found: Object) -> Object:
    meta = {
        k: v
        for k, v in found["metadata"].items()
        if k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    labels = found["spec"].get("selector", {}).get("matchLabels", {})
    selector = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": found["spec"].get("replicas", 0)},
        "status": {"replicas": found.get("status", {}).get("replicas", 0), "selector": selector},
    }


def _certificate(request: web.Request) -> str | None:
    """The name in the client's certificate, which the TLS handshake has verified."""
    found = request.transport.get_extra_info("peercert") if request.transport else None
    for part in (found or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None


__all__ = ["BY_PLURAL", "WRITES", "Cut", "Front", "Wanted"]
