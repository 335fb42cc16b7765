"""What the catalog may say about a cluster. Must not read a file, and must not need a vendor's package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

#: What Google, Amazon and Microsoft let stand in a name; none of it means anything in a path.
_WORD = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_COMMAND = re.compile(r"[A-Za-z0-9_.+-]+|/[^\0]+")
_ROLE = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$"


def _at_home(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, but whose home that is cannot be told; write the whole path") from None


def _is_command(value: str) -> str:
    if not _COMMAND.fullmatch(value):
        raise ValueError("must be the name of a command or its whole path, without arguments")
    return value


FilePath = Annotated[Path, AfterValidator(_at_home)]
"""A file; ``~`` is the home of whoever runs the bot."""
Command = Annotated[str, AfterValidator(_is_command), WithJsonSchema({"type": "string", "examples": ["aws"]})]
"""A command by name, looked for on the bot's own PATH, or by its whole path."""
Word = Annotated[str, Field(pattern=_WORD, max_length=100)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KubeconfigOptions(_Options):
    """A cluster that a kubeconfig file describes."""

    path: FilePath = Field(description="The file, as kubectl reads it.")
    context: str | None = Field(
        default=None, min_length=1, max_length=253, description="The context; the file's current one if left out."
    )
    exec: list[Command] = Field(
        default=[],
        max_length=10,
        description="Commands that the file may have run to get credentials; none unless named here.",
    )
    exec_timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that such a command may take.")] = 20.0
    variables: list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]] = Field(
        default=[],
        max_length=50,
        description="Environment variables that such a command gets beside PATH, HOME and LANG.",
    )


class InClusterOptions(_Options):
    """The cluster that the bot itself runs in, by its service account."""

    folder: FilePath = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="Where the token and the certificate are mounted.",
    )


class GkeOptions(_Options):
    """A cluster of Google Kubernetes Engine, by the application default credentials."""

    project: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:-]*$", max_length=100, description="Id of the project.")]
    location: Annotated[
        str, Field(pattern=r"^[a-z0-9-]+$", max_length=50, description="Region or zone, such as europe-west1.")
    ]
    cluster: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40, description="Name of the cluster.")]
    endpoint: Literal["auto", "dns", "ip"] = Field(
        default="auto", description="Which endpoint is used; auto takes the DNS endpoint where it may be used."
    )
    timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that one answer of Google may take.")] = 15.0


class EksOptions(_Options):
    """A cluster of Amazon EKS, by the credentials that boto3 finds."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="Region, such as eu-west-1.")]
    cluster: Annotated[str, Field(pattern=_WORD, max_length=100, description="Name of the cluster.")]
    role_arn: Annotated[
        str | None, Field(pattern=_ROLE, description="Role that is assumed first; the bot's own if left out.")
    ] = None
    timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that one answer of AWS may take.")] = 15.0


class AksOptions(_Options):
    """A cluster of Azure Kubernetes Service with Entra ID, by the credentials that azure-identity finds."""

    subscription: Annotated[
        str,
        Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", description="Id of the subscription."),
    ]
    resource_group: Annotated[str, Field(pattern=r"^[\w().-]*[\w()-]$", max_length=90, description="Resource group.")]
    cluster: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$", max_length=63, description="Its name.")
    ]
    timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that one answer of Azure may take.")] = 15.0
