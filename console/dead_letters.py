"""`linkgauge dead-letters`: what the stores refused for good; works while the collector runs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.settings import Settings
from collector.sinks.dead_letters import FILE_NAME, DeadLetters, Kept, Kind
from console.moment import as_text
from linkgauge.errors import ConfigError

app = typer.Typer(
    name="dead-letters",
    help="List, replay and forget what the stores refused for good.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Config = Annotated[Path, typer.Option(help="The collector's settings.")]
SETTINGS = Path("/etc/linkgauge/collector.yaml")
_MOST = 1 << 62
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Numbers = Annotated[
    list[int] | None, typer.Argument(min=1, max=_MOST, help="Numbers of letters, as the list has them.")
]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
OfSink = Annotated[str | None, typer.Option("--sink", help="Only those of this sink.")]
_SHOWN = 160


@app.command("list")
def list_(
    config: Config = SETTINGS,
    sink: OfSink = None,
    after: Annotated[int, typer.Option(min=0, max=_MOST, help="Only letters with a higher number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="At most so many, the oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show letters: number, time, sink, the store's words, and what it is."""
    dead = _open(config)
    try:
        letters, counts = dead.letters(after, limit, sink), dead.counts()
    finally:
        dead.close()
    if as_json:
        told = {"kept": counts.kept, "octets": counts.octets, "marked": counts.marked,
                "dropped": counts.dropped, "letters": [_told(kept) for kept in letters]}  # fmt: skip
        print(json.dumps(told, ensure_ascii=False))
        return
    for kept in letters:
        mark = " (to be replayed)" if kept.marked else ""
        print(f"{kept.id} {as_text(kept.at_ns)} {kept.sink}{mark}: {kept.letter.why}\n    {_what(kept)}")
    print(
        f"{counts.kept} dead letters, {counts.octets} octets, {counts.marked} to be replayed, "
        f"{counts.dropped} dropped unseen because there were too many"
    )


@app.command()
def replay(
    config: Config = SETTINGS,
    numbers: Numbers = None,
    all_: All = False,
    sink: OfSink = None,
    as_json: AsJson = False,
) -> None:
    """Have letters written again: a running collector takes them up within seconds.

    What is refused again comes back with the new words and a new number. Exit 1 when numbers were given and
    none of these letters is there, or all are to be taken up already.
    """
    _do(config, numbers, all_, sink, as_json, "marked", "will be taken up by the running collector")


@app.command()
def forget(
    config: Config = SETTINGS,
    numbers: Numbers = None,
    all_: All = False,
    sink: OfSink = None,
    as_json: AsJson = False,
) -> None:
    """Throw letters away for good. Exit 1 when numbers were given and none of these letters is there."""
    _do(config, numbers, all_, sink, as_json, "forgotten", "are forgotten")


def _do(
    config: Path, numbers: list[int] | None, all_: bool, sink: str | None, as_json: bool, key: str, words: str
) -> None:
    if not (numbers or all_ or sink):
        raise ConfigError("name the letters by number, or --sink NAME, or --all")
    dead = _open(config)
    try:
        work = dead.mark if key == "marked" else dead.forget
        count = work(numbers or None, sink)
    finally:
        dead.close()
    print(json.dumps({key: count}) if as_json else f"{count} dead letters {words}")
    if numbers and not count:
        raise typer.Exit(1)


def _open(config: Path) -> DeadLetters:
    path = Settings.load(config).data_dir / FILE_NAME
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file; no collector with these settings has run")
    return DeadLetters(path)


def _told(kept: Kept) -> dict[str, Any]:
    letter = kept.letter
    told: dict[str, Any] = {
        "number": kept.id, "at_ns": kept.at_ns, "sink": kept.sink, "marked": kept.marked,
        "kind": letter.kind.value, "why": letter.why,
    }  # fmt: skip
    if letter.kind is Kind.LINES:
        return {**told, "lines": letter.what.decode("utf-8", "replace").split("\n")}
    whose = {"agent": letter.agent, "boot": letter.boot, "batch": letter.number}
    return {**told, **whose, "body_base64": base64.b64encode(letter.what).decode("ascii")}


def _what(kept: Kept) -> str:
    letter = kept.letter
    if letter.kind is Kind.BATCH:
        return f"batch {letter.number} of {letter.agent}, boot {letter.boot}, {len(letter.what)} octets"
    text = letter.what.decode("utf-8", "replace")
    lines = text.count("\n") + 1
    more = f" and {lines - 1} more lines" if lines > 1 else ""
    first = text.partition("\n")[0]
    return (first if len(first) <= _SHOWN else first[:_SHOWN] + "…") + more
