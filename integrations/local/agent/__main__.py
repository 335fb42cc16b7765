"""``python -m integrations.local.agent --root FOLDER``: start the agent of a folder, detached, unless it runs already.

Prints one line, ``ready``, ``busy`` or what is wrong, and ends with status 0, 3 or 1. With ``--foreground`` the agent
is this very process. Must import little: whoever starts it waits.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import logging.handlers
import os
import sys
from pathlib import Path

from integrations.local.files import Root

READY, FAILED, BUSY = 0, 1, 3
_LOG_BYTES = 1_000_000


def main() -> int:
    """Parse the command line and start."""
    parser = argparse.ArgumentParser(prog="python -m integrations.local.agent", description="Keeps services running.")
    parser.add_argument("--root", required=True, type=Path, help="folder that holds the platform's state")
    parser.add_argument("--foreground", action="store_true", help="stay here instead of starting a detached process")
    parser.add_argument(
        "--allow-faults",
        action="store_true",
        default=os.environ.get("LOCAL_AGENT_FAULTS") == "1",
        help="let tests ask for delays and failures (or LOCAL_AGENT_FAULTS=1)",
    )
    arguments = parser.parse_args()
    root = Root(arguments.root.absolute())
    if arguments.foreground:
        return _run(root, allow_faults=arguments.allow_faults, out=1)
    return _detach(root, allow_faults=arguments.allow_faults)


def _detach(root: Root, *, allow_faults: bool) -> int:
    reader, writer = os.pipe()
    # Flushed nothing yet and started no thread, so the child has a clean copy of everything.
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = FAILED
        try:
            os.setsid()
            status = _run(root, allow_faults=allow_faults, out=writer)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        line = pipe.readline().strip()
    if not line:
        line = "The agent ended before it was ready; its agent.log says more."
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            # Somebody ended it, which says nothing against the next one.
            line = "busy"
    sys.stdout.write(line + "\n")
    return {"ready": READY, "busy": BUSY}.get(line, FAILED)


def _run(root: Root, *, allow_faults: bool, out: int) -> int:
    """Be the agent; tells on ``out`` how the start went."""

    def tell(line: str) -> None:
        try:
            os.write(out, line.encode() + b"\n")
        except OSError:
            return
        finally:
            if out > 2:
                os.close(out)

    try:
        root.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(root.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("busy")
            return BUSY
        _log_to(root.log, redirect=out > 2)
    except OSError as error:
        tell(f"The folder {root.path} cannot be used: {(error.strerror or str(error)).lower()}.")
        return FAILED
    os.chdir(root.path)
    os.umask(0o022)
    import asyncio

    from integrations.local.agent.server import serve

    told = False

    def ready() -> None:
        nonlocal told
        told = True
        tell("ready")

    try:
        asyncio.run(serve(root, lock=lock, allow_faults=allow_faults, ready=ready))
    except OSError as error:
        logging.getLogger(__name__).exception("the agent cannot run")
        if not told:
            tell(f"The agent cannot run in {root.path}: {(error.strerror or str(error)).lower()}.")
        return FAILED
    except Exception:
        logging.getLogger(__name__).exception("the agent broke")
        if not told:
            tell(f"The agent broke while it was starting; {root.log} says more.")
        return FAILED
    return READY


def _log_to(path: Path, *, redirect: bool) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if not redirect:
        return
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
