"""What is allowed in receivers and probably not meant: a sentence for each, with its mend. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from collector.settings import Settings

SEVERITIES = ("page", "ticket")


def notes(settings: Settings, teams: Collection[str]) -> list[str]:
    """Empty when nothing is odd. teams: all of the inventory, the one for what names none among them."""
    return [*_strangers(settings, teams), *_unheard(settings, teams)]


def _strangers(settings: Settings, teams: Collection[str]) -> Iterator[str]:
    for at, each in enumerate(settings.receivers):
        for number, team in enumerate(each.teams):
            if team not in teams:
                yield (
                    f"receivers[{at}].teams[{number}]: no site or network of the inventory has team {team}, "
                    f"so nothing is told by it; it may be one of {', '.join(sorted(teams))}"
                )


def _unheard(settings: Settings, teams: Collection[str]) -> Iterator[str]:
    """Where somebody is told at all, kinds of alerts that nobody is told of."""
    if settings.webhooks or not settings.receivers:
        return
    heard = [each for each in settings.receivers if not each.drills]
    for team in sorted(teams):
        deaf = [
            severity
            for severity in SEVERITIES
            if not any(
                (not each.teams or team in each.teams)
                and (not each.severities or severity in each.severities)
                for each in heard
            )
        ]
        if deaf:
            what = " and ".join(f"{severity}s" for severity in deaf)
            yield f"receivers: nobody is told of {what} of team {team}; add it to those of a receiver"
