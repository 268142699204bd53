"""How the archive's files are put together, how long they are kept and what the disk keeps free."""

from __future__ import annotations

from dataclasses import dataclass

from collector.settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """compact_after_s: age at which a file is put together with others; keep_days: None = for good.

    step_files: so many files of a folder make one while its day lasts: an hour's, at one file a minute.
    step_octets: files above this stay as they are, and what is put together at once is not much more.
    """

    compact_after_s: float = 7200
    keep_days: int | None = None
    keep_free_bytes: int = 0
    step_files: int = 60
    step_octets: int = 64 * 1024 * 1024

    @classmethod
    def of(cls, settings: ArchiveSettings) -> Rules:
        return cls(settings.compact_after_s, settings.keep_days, settings.keep_free_mb << 20)
