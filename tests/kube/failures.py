"""What the fake API server says no with: ``Status`` objects in the shapes and words of k8s.io/apimachinery.

Follows apimachinery's pkg/api/errors/errors.go (v0.36) and, where recorded, what a real 1.36 server answered: the
failed ``test`` of a JSON Patch is told as a 422 that names nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .resources import Object, Resource


class ApiFailure(Exception):
    """An answer other than the object."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: Object | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details = details or {}
        self.retry_after = retry_after

    def status(self) -> Object:
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        answer: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            answer["reason"] = self.reason
        if details or self.reason == "Invalid":
            answer["details"] = details
        return {**answer, "code": self.code}


def _details(resource: Resource, name: str, **more: Any) -> Object:
    details: Object = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural, **more}


def not_found(resource: Resource, name: str) -> ApiFailure:
    return ApiFailure(404, "NotFound", f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def no_such_path() -> ApiFailure:
    return ApiFailure(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: Resource, name: str) -> ApiFailure:
    return ApiFailure(
        409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details=_details(resource, name)
    )


def conflict(resource: Resource, name: str, why: str) -> ApiFailure:
    return ApiFailure(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
        details=_details(resource, name),
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def apply_conflict(message: str, causes: Iterable[Object]) -> ApiFailure:
    return ApiFailure(409, "Conflict", message, details={"causes": list(causes)})


def invalid(resource: Resource, name: str, *causes: tuple[str, str, str]) -> ApiFailure:
    """``causes``: (reason, field, message) as the validators give them."""
    said = [f"{field}: {message}" for _, field, message in causes]
    told = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    listed = [{"reason": reason, "message": message, "field": field} for reason, field, message in causes]
    details: Object = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return ApiFailure(
        422,
        "Invalid",
        f'{resource.qualified_kind} "{name}" is invalid: {told}',
        details={**details, "kind": resource.kind, "causes": listed},
    )


def patch_failed() -> ApiFailure:
    """A JSON Patch that does not fit, a failed ``test`` among them: which operation it was is not told."""
    return ApiFailure(422, "Invalid", "the server rejected our request due to an error in our request")


def bad_request(message: str) -> ApiFailure:
    return ApiFailure(400, "BadRequest", message)


def unauthorized() -> ApiFailure:
    return ApiFailure(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, *, causes: list[Object] | None = None) -> ApiFailure:
    named = f' "{name}"' if name else ""
    details = _details(resource, name, **({"causes": causes} if causes else {}))
    return ApiFailure(403, "Forbidden", f"{resource.qualified}{named} is forbidden: {why}", details=details)


def method_not_allowed(resource: Resource, verb: str) -> ApiFailure:
    return ApiFailure(
        405,
        "MethodNotAllowed",
        f"{verb} is not supported on resources of kind {resource.qualified}",
        details=_details(resource, ""),
    )


def unsupported_media_type(accepted: Iterable[str]) -> ApiFailure:
    return ApiFailure(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted),
    )


def too_old(asked: int, oldest: int) -> ApiFailure:
    return ApiFailure(410, "Expired", f"too old resource version: {asked} ({oldest})")


def continue_too_old() -> ApiFailure:
    return ApiFailure(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list"
        " without the continue parameter.",
    )


def too_large(asked: int, current: int) -> ApiFailure:
    return ApiFailure(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
        retry_after=1,
    )


def too_many_requests(retry_after: int) -> ApiFailure:
    return ApiFailure(
        429, "TooManyRequests", "the server has received too many requests and has asked us to try again later",
        retry_after=retry_after,
    )  # fmt: skip


def internal(message: str = "an error on the server has prevented the request from succeeding") -> ApiFailure:
    return ApiFailure(500, "InternalError", f"Internal error occurred: {message}")


def unavailable() -> ApiFailure:
    return ApiFailure(503, "ServiceUnavailable", "the server is currently unable to handle the request")
