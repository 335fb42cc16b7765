"""The command line. Imports what a command needs only when it runs, so that help comes at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from bot.ports.audit import AuditLog
    from bot.settings import Settings

_DATABASE_URL = click.option("--database-url", envvar="DATABASE_URL", help="Default: SQLite in DATA_DIR.")
_DATA_DIR = click.option("--data-dir", type=click.Path(path_type=Path), envvar="DATA_DIR", default=Path(".data"))
_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="DEPLOY_CONFIG",
    default=Path(".deploy/config.yaml"),
    show_default=True,
    help="The catalog.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="deployment-architect")
def main() -> None:
    """Deploys software from Slack, durably, and tells its story in one live message.

    \b
    Try it:      deployment-architect demo
    Run it:      deployment-architect doctor && deployment-architect serve
    """


@main.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The catalog [DEPLOY_CONFIG].")
@click.option("--host", help="Address to listen on [HOST].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one [PORT].")
def serve(config: Path | None, host: str | None, port: int | None) -> None:
    """Run the bot. Tokens and addresses come from the environment; see docs/operate.md."""
    for name, value in (("DEPLOY_CONFIG", config), ("HOST", host), ("PORT", port)):
        if value is not None:
            os.environ[name] = str(value)

    async def run(settings: Settings) -> None:
        from bot.bootstrap import running_bot

        stopped = _stop_signal()
        async with running_bot(settings) as bot:
            click.echo(f"Deployment Architect serves on port {bot.http.port} as {bot.replica}.", err=True)
            await stopped.wait()
            click.echo("Stopping; what runs is resumed by the next start.", err=True)
        if settings.tracing == "datadog":
            # All is closed by now but ddtrace's own sender, which is no thread of Python's: it may wait for an agent
            # for another 20 s, and aborts the process when Python ends before it does.
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def prepared() -> Coroutine[object, object, None]:
        from bot.logs import configure
        from bot.settings import read_settings

        settings = read_settings()
        configure(settings.log_level)
        return run(settings)

    _run(prepared)


@main.command()
@click.option("--script", type=click.Path(path_type=Path, dir_okay=False), help="Play a script without a browser.")
@click.option("--json", "as_json", is_flag=True, help="With --script: print one JSON object a line.")
@click.option("--port", type=click.IntRange(0, 65535), default=8400, show_default=True, help="Port of the page.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder for everything that it writes.")
@click.option("--database-url", help="Use this PostgreSQL instead of SQLite.")
def demo(script: Path | None, as_json: bool, port: int, data: Path | None, database_url: str | None) -> None:
    """A whole workspace on this machine: page, bot, sample services with real traffic.

    Exit code with --script: 0 when everything held, 1 when something did not, 2 for a script that cannot be read.
    """
    if as_json and script is None:
        raise click.UsageError("--json goes with --script.")

    def prepared() -> Coroutine[object, object, None]:
        from bot.bootstrap import play_demo, read_script, run_demo
        from bot.logs import configure
        from bot.sandbox.script.problems import ScriptError

        configure("ERROR")
        if script is None:
            return run_demo(port=port, data=data, database_url=database_url, echo=click.echo, stopped=_stop_signal)
        try:
            parsed = read_script(script)
        except ScriptError as error:
            click.echo(str(error), err=True)
            sys.exit(2)
        return _exit_with(play_demo(parsed, as_json=as_json, data=data, database_url=database_url))

    _run(prepared)


@main.command()
@_CONFIG
def check(config: Path) -> None:
    """Check the catalog and name everything that is wrong with it, by file, line and column."""

    def prepared() -> None:
        from bot.bootstrap import check_catalog

        catalog = check_catalog(config)
        services, environments = len(catalog.services), len(catalog.environments)
        click.echo(
            f"{config} is good: {services} service{'s' * (services != 1)}, "
            f"{environments} environment{'s' * (environments != 1)}, revision {catalog.revision[:12]}."
        )

    _run(prepared)


@main.command()
@_CONFIG
@_DATABASE_URL
@_DATA_DIR
@click.option(
    "--timeout", type=click.FloatRange(0.5, 300), default=10.0, show_default=True, help="Seconds for one look."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def doctor(config: Path, database_url: str | None, data_dir: Path, timeout: float, as_json: bool) -> None:
    """Look whether the bot has all that it needs: settings, catalog, database, Slack, clusters, and rights everywhere.

    Names each right that is missing with the lines of YAML that grant it. Changes nothing. Exit code: 0 when everything
    can be deployed (also where less can be told of it), 1 when not, 2 for a command line that cannot be read.
    """

    def prepared() -> Coroutine[object, object, None]:
        from bot.logs import configure

        configure("ERROR")
        return _exit_with(_examined(config, database_url, data_dir, timeout=timeout, as_json=as_json))

    _run(prepared)


async def _examined(config: Path, database_url: str | None, data_dir: Path, *, timeout: float, as_json: bool) -> int:
    from bot.doctor import Doctor
    from bot.doctor_report import as_json as in_json
    from bot.doctor_report import as_text, watched
    from bot.settings import database_address

    look = Doctor(config=config, database=database_address(database_url, data_dir), timeout=timeout)
    looked = await watched(look, look.examine(), lambda line: click.echo(line, err=True))
    for line in [in_json(looked)] if as_json else as_text(looked):
        click.echo(line)
    return 0 if all(one.ok for one in looked) else 1


@main.command()
@click.argument("service")
@click.argument("environment")
@_CONFIG
@click.option("--url", envvar="FLAGGER_URL", help="Where Flagger reaches the bot from within its cluster.")
@click.option("--secret", envvar="FLAGGER_SECRET", help="Better given by the environment: command lines are seen.")
def flagger(service: str, environment: str, config: Path, url: str | None, secret: str | None) -> None:
    """Print the webhooks that let Flagger ask the bot, for spec.analysis of that Canary.

    Whoever reads the addresses can ask, and tell nothing: they open no gate. Asks neither the cluster nor the database.
    """

    def prepared() -> None:
        from bot.bootstrap import flagger_webhooks

        click.echo(flagger_webhooks(config, service, environment, url=url, secret=secret or ""))

    _run(prepared)


@main.command()
def schema() -> None:
    """Print the JSON Schema of the catalog, for editors."""

    def prepared() -> None:
        import json

        from bot.bootstrap import provider_models
        from bot.catalog.json_schema import json_schema

        click.echo(json.dumps(json_schema(provider_models()), indent=2))

    _run(prepared)


@main.command()
@_DATABASE_URL
@_DATA_DIR
def migrate(database_url: str | None, data_dir: Path) -> None:
    """Bring the database to this build's schema. `serve` does it too; this is for a role that may not."""

    def prepared() -> Coroutine[object, object, None]:
        from bot.settings import database_address
        from bot.store.engine import Database
        from bot.store.migrations import migrate as bring

        async def run() -> None:
            async with await Database.open(database_address(database_url, data_dir)) as database:
                before = await bring(database)
                click.echo(f"{database.shown} is at this build's schema (before: {before or 'empty'}).")

        return run()

    _run(prepared)


@main.group()
def audit() -> None:
    """The record of who did what: check that it is whole, and take it along."""


@audit.command("verify")
@click.option("--head", help="A head that was kept earlier, as SEQUENCE:HASH: the chain must still go through it.")
@_DATABASE_URL
@_DATA_DIR
def audit_verify(head: str | None, database_url: str | None, data_dir: Path) -> None:
    """Look at every row of the audit. Exit code 1 when one is not as it was written, with its number.

    Prints the head of the chain: keep it where who may write the database may not, and give it back with --head.
    """

    def prepared() -> Coroutine[object, object, None]:
        from bot.domain.audit import ChainHead

        against = ChainHead.read(head) if head is not None else None

        async def run() -> None:
            async with _audit_of(database_url, data_dir) as log:
                verdict = await log.verify(against=against)
            if not verdict.ok:
                row = "The head" if verdict.broken is None else f"Row {verdict.broken}"
                _fail(f"{row} of the audit is not as it was written. {verdict.why}")
            click.echo(f"✓ {verdict.rows:,} rows are as they were written. Head: {verdict.head}")

        return run()

    _run(prepared)


@audit.command("export")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True, help="Of the rows."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
@_DATABASE_URL
@_DATA_DIR
def audit_export(form: Literal["jsonl", "csv"], output: Path | None, database_url: str | None, data_dir: Path) -> None:
    """Write every row of the audit, oldest first. JSON lines can be checked without us; CSV is for spreadsheets."""

    def prepared() -> Coroutine[object, object, None]:
        async def run() -> None:
            async with _audit_of(database_url, data_dir) as log:
                try:
                    with click.open_file(str(output or "-"), "w", encoding="utf-8") as to:
                        async for piece in log.export(format=form):
                            to.write(piece)
                        to.flush()
                except BrokenPipeError:
                    # Whoever reads has seen enough; what Python still holds must not be written at the end.
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                except OSError as error:
                    _fail(f"{output or 'The output'} cannot be written: {(error.strerror or 'it is refused').lower()}.")

        return run()

    _run(prepared)


@contextlib.asynccontextmanager
async def _audit_of(database_url: str | None, data_dir: Path) -> AsyncIterator[AuditLog]:
    """The audit of a database that is only read, so that it can be looked at while the bot runs."""
    from bot.settings import database_address
    from bot.store.audit import StoredAudit
    from bot.store.engine import Database
    from bot.store.migrations import check_schema

    async with await Database.open(database_address(database_url, data_dir), read_only=True) as database:
        await check_schema(database)
        yield StoredAudit(database)


def _run(prepare: object) -> None:
    """Do it, and turn what an operator can mend into one clear sentence and exit code 1."""
    from bot.domain.errors import DeploymentArchitectError

    assert callable(prepare)
    try:
        work = prepare()
        if work is not None:
            asyncio.run(work)
    except DeploymentArchitectError as error:
        _fail(error.message)
    except KeyboardInterrupt:
        sys.exit(130)


async def _exit_with(code: Coroutine[object, object, int]) -> None:
    sys.exit(await code)


def _fail(message: str) -> NoReturn:
    for line in message.splitlines():
        click.echo(f"✗ {line}", err=True)
    sys.exit(1)


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second one ends the process as usual."""
    import signal

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):

        def stop(number: signal.Signals = number) -> None:
            stopped.set()
            # `make` and `timeout` pass one signal on twice; a second one that a person meant comes later.
            loop.call_later(1.0, loop.remove_signal_handler, number)

        loop.add_signal_handler(number, stop)
    return stopped
