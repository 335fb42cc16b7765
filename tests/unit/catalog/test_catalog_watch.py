"""A running bot follows its catalog file: atomically, quietly, and never into a bad one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from bad_catalogs import broken

from bot.catalog import watch as watch_module
from bot.catalog.load import Providers, parse
from bot.catalog.problems import CatalogError
from bot.catalog.watch import LiveCatalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bot.domain.catalog import Catalog


class Watched:
    """A live catalog that looks every few milliseconds, with all that it said."""

    def __init__(self, live: LiveCatalog) -> None:
        self.live = live
        self.invalid: list[str] = []
        self.reloaded: list[Catalog] = []
        self.said = asyncio.Condition()
        self.fails = False

    async def on_invalid(self, text: str) -> None:
        async with self.said:
            self.invalid.append(text)
            self.said.notify_all()
        if self.fails:
            raise ConnectionError("the workspace does not answer")

    async def on_reloaded(self, catalog: Catalog) -> None:
        async with self.said:
            self.reloaded.append(catalog)
            self.said.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self.said:
            await self.said.wait_for(holds)


@pytest.fixture
def path(tmp_path: Path, good: str) -> Path:
    path = tmp_path / ".deploy" / "config.yaml"
    path.parent.mkdir()
    path.write_text(good)
    return path


@pytest.fixture
async def watched(path: Path, providers: Providers) -> AsyncIterator[Watched]:
    watched = Watched(LiveCatalog(path, providers=providers, interval=0.01, settle=0.03))
    watch = asyncio.create_task(
        watched.live.run(on_invalid=watched.on_invalid, on_reloaded=watched.on_reloaded),
    )
    yield watched
    assert not watch.done()
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


async def test_a_change_is_read(watched: Watched, path: Path, good: str) -> None:
    before = watched.live.current()
    changed = good.replace("Takes the money", "Takes the cash")
    path.write_text(changed)
    await watched.until(lambda: bool(watched.reloaded))
    now = watched.live.current()
    assert now.service("checkout").description == "Takes the cash"
    assert (watched.live.text, watched.reloaded, watched.invalid) == (changed, [now], [])
    # A deployment that began before goes on with what it began with.
    assert watched.live.revision(before.revision) is before
    assert watched.live.revision(now.revision) is now
    assert watched.live.revision("unheard of") is None


async def test_the_text_of_a_revision_makes_it_again(watched: Watched, providers: Providers) -> None:
    assert parse(watched.live.text, watched.live.name, providers) == watched.live.current()


async def test_a_bad_file_is_told_once_and_changes_nothing(watched: Watched, path: Path, good: str) -> None:
    before = watched.live.current()
    bad = broken(good, "type: cluster", "type: clutser")
    path.write_text(bad)
    await watched.until(lambda: len(watched.invalid) == 1)
    assert "there is no type of target 'clutser'. Did you mean 'cluster'?" in watched.invalid[0]
    assert watched.live.current() is before
    assert isinstance(watched.live.invalid, CatalogError)

    other = broken(good, "version: 1", "version: 9")
    path.write_text(other)
    await watched.until(lambda: len(watched.invalid) == 2)
    path.write_text(bad)  # told already
    path.touch()
    final = good.replace("Takes the money", "Takes it")
    await _seen(watched, bad)
    path.write_text(final)
    await watched.until(lambda: bool(watched.reloaded))
    assert len(watched.invalid) == 2
    assert watched.live.invalid is None
    assert watched.live.text == final

    # After the file was good, the same mistake is news again.
    path.write_text(bad)
    await watched.until(lambda: len(watched.invalid) == 3)


async def test_a_mistake_taken_back_is_told_as_well(watched: Watched, path: Path, good: str) -> None:
    path.write_text("services: [")
    await watched.until(lambda: bool(watched.invalid))
    path.write_text(good)
    await watched.until(lambda: bool(watched.reloaded))
    assert watched.reloaded == [parse(good, str(path), watched.live._providers)]
    assert watched.live.invalid is None


async def test_a_rename_into_place(watched: Watched, path: Path, good: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(good.replace("5m", "6m"))
    new.replace(path)
    await watched.until(lambda: bool(watched.reloaded))
    assert watched.live.current().service("checkout").deadline == 360


async def test_a_change_of_the_same_size_in_the_same_moment(watched: Watched, path: Path, good: str) -> None:
    status = path.stat()
    path.write_text(good.replace("5m", "6m"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    await watched.until(lambda: bool(watched.reloaded))
    assert watched.live.current().service("checkout").deadline == 360


async def test_a_config_map_is_swapped_by_its_symlink(tmp_path: Path, providers: Providers, good: str) -> None:
    for number, minutes in (("1", "5m"), ("2", "7m")):
        folder = tmp_path / f"..data_{number}"
        folder.mkdir()
        (folder / "config.yaml").write_text(good.replace("5m", minutes))
    (tmp_path / "..data").symlink_to("..data_1")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    watched = Watched(LiveCatalog(tmp_path / "config.yaml", providers=providers, interval=0.01, settle=0.01))
    watch = asyncio.create_task(watched.live.run(on_invalid=watched.on_invalid, on_reloaded=watched.on_reloaded))
    (tmp_path / "..data_tmp").symlink_to("..data_2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    await watched.until(lambda: bool(watched.reloaded))
    watch.cancel()
    assert watched.live.current().service("checkout").deadline == 420
    assert watched.live.current().service("checkout").images.options["folder"] == tmp_path.parent / "artifacts/checkout"


async def test_a_half_written_file_is_not_judged(
    path: Path, providers: Providers, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    read = watch_module.read_bytes

    def read_and_tell(path: Path) -> bytes:
        data = read(path)
        seen.append(data)
        return data

    watched = Watched(LiveCatalog(path, providers=providers, interval=0.005, settle=0.3))
    monkeypatch.setattr(watch_module, "read_bytes", read_and_tell)
    changed = good.replace("Takes the money", "Takes the cash")
    # One of the halves is a good file without roles; it must never be in force.
    cut = changed.index("roles:")
    watch = asyncio.create_task(watched.live.run(on_invalid=watched.on_invalid, on_reloaded=watched.on_reloaded))
    async with asyncio.timeout(20):
        for end in (50, cut, cut + 40, len(changed)):
            path.write_text(changed[:end])
            while changed[:end].encode() not in seen:
                await asyncio.sleep(0.005)
    await watched.until(lambda: bool(watched.reloaded))
    watch.cancel()
    assert watched.invalid == []
    assert [len(catalog.rules) for catalog in watched.reloaded] == [2]


async def test_a_file_that_is_gone_is_told_and_its_return_too(watched: Watched, path: Path, good: str) -> None:
    path.unlink()
    await watched.until(lambda: bool(watched.invalid))
    assert watched.invalid == [f"{path}: there is no such file; create it, or say where it is with --config."]
    path.write_text(good)
    await watched.until(lambda: bool(watched.reloaded))


async def test_the_watch_outlives_whom_it_tells(
    watched: Watched, path: Path, good: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched.fails = True
    path.write_text("{}")
    await watched.until(lambda: bool(watched.invalid))
    path.write_text(good + "# better\n")
    await watched.until(lambda: bool(watched.reloaded))
    assert "could not be read again" in caplog.text


async def test_old_revisions_are_forgotten_after_a_while(path: Path, providers: Providers, good: str) -> None:
    watched = Watched(LiveCatalog(path, providers=providers, interval=0.001, settle=0.001))
    first = watched.live.current().revision
    watch = asyncio.create_task(watched.live.run(on_invalid=watched.on_invalid, on_reloaded=watched.on_reloaded))
    for number in range(16):
        path.write_text(good + f"# {number}\n")
        await watched.until(lambda: len(watched.reloaded) > number)  # noqa: B023 - awaited before it changes
    watch.cancel()
    assert watched.live.revision(first) is None
    assert all(watched.live.revision(catalog.revision) is catalog for catalog in watched.reloaded)


async def test_a_bad_file_to_begin_with_is_refused(path: Path, providers: Providers) -> None:
    path.write_text("version: 1\n")
    with pytest.raises(CatalogError, match="'services' is missing"):
        LiveCatalog(path, providers=providers)


async def _seen(watched: Watched, text: str) -> None:
    """Wait until the watch has judged ``text``, of which it says nothing."""
    from bot.catalog.watch import _digest

    async with asyncio.timeout(10):
        while watched.live._seen != _digest(text.encode()) or "clutser" not in str(watched.live.invalid):
            await asyncio.sleep(0.005)
