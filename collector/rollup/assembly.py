"""The parts that make roll-ups, built from the collector's settings."""

from __future__ import annotations

from collections.abc import Callable

from collector.health.metrics import Metrics
from collector.rollup.journalling import Journalling
from collector.rollup.maker import Maker
from collector.rollup.notes import FILE_NAME, Grace, Notes
from collector.rollup.score import Specs
from collector.rollup.source import ArchiveSource
from collector.settings import Settings
from linkgauge.clock import Clock, seconds
from linkgauge.inventory import Inventory
from linkgauge.wire import Batch

NOTING_S = 5.0
"""How long the sink gathers what it notes."""
_SENDING_S = 5.0
"""For sending a window's batch and for the journal."""
_MAKING_S = 60.0
"""For making the last 5 minutes of an hour."""


def open_notes(settings: Settings, clock: Clock) -> Notes:
    return Notes(settings.data_dir / FILE_NAME, clock)


def grace_of(settings: Settings, inventory: Inventory) -> Grace:
    """A slot's last window ends after the slot, by up to its own length, and is reported after the timeout of
    its last packet; then sink and archive gather. An hour waits for its last 5 minutes to be made and
    archived."""
    gathering_s = max(settings.archive.flush_s, NOTING_S)
    short_s = inventory.window_s + inventory.probing.stamp.timeout_s + _SENDING_S + gathering_s
    return Grace(seconds(short_s), seconds(short_s + gathering_s + _MAKING_S))


def make_maker(
    settings: Settings,
    inventory: Inventory,
    notes: Notes,
    keep: Callable[[Batch], None],
    passed: Callable[[], int],
    clock: Clock,
    metrics: Metrics,
    give_way: Callable[[], bool] = lambda: False,
    specs: Specs = lambda _: None,
) -> Maker:
    """keep: journals a batch, or raises Refusal. passed: the last batch that the archive has. give_way:
    whether batches go before just now. specs: of a link by its text.
    """
    source = ArchiveSource(settings.archive_path)
    metrics.watch_one(
        "archive_unreadable_files",
        "Files of the archive that cannot be read; their rows are in no roll-up.",
        lambda: source.unreadable.count,
    )
    put = Journalling(keep, clock).put
    return Maker(notes, source, put, passed, grace_of(settings, inventory), clock, metrics, give_way, specs)
