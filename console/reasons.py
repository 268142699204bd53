"""Why the verdict on a link is unknown, and what its flows and probes say, in words. Pure.

Reads what the collector's API tells of links and agents. A link that nobody has judged has no state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from console.beginning import PATIENCE_S, Beginning
from console.unfit import unfit_words

SILENT_AFTER_S = PATIENCE_S
Told = Mapping[str, Any]


def why_unknown(link: Told, agents: Mapping[str, Told], beginning: Beginning) -> list[str]:
    """Reasons why the verdict on this link is unknown, the first of which explains the others.

    agents: by name. Empty when the verdict is known.
    """
    if link["verdict"] != "unknown":
        return []
    src = link["tags"]["src"]
    agent = agents.get(src, {"agent": src, "last_seen_s": None, "health": None})
    silence, unmeasured = _silence(agent, beginning), _unmeasured(link, beginning)
    first = next(iter([*silence, *unmeasured, *_unfitness(link, agent), *_unsent(link)]), None)
    if first is not None:
        return [first]
    return [*_excused(link), *_loss(link), *_delay(link), *_throughput(link)] or ["not judged yet"]


def flow_words(link: Told) -> str | None:
    """What the flows of a link say: None when they lose alike."""
    state = link.get("state") or {}
    if not state.get("flows_bad"):
        return None
    lost = state.get("flows_bad_loss_ratio")
    how_much = "lose more than the others" if lost is None else f"lose {percent(lost)}, the others do not"
    return f"{link['link']}: {state['flows_bad']} of {state['flows']} flows {how_much}"


def divergence_words(link: Told) -> str | None:
    """Which probes disagree; None when they do not."""
    troubled = list(link.get("divergent") or [])
    if not troubled:
        return None
    others = [name for name in (link.get("probes") or {}) if name not in troubled]
    calm = f"{_see(others)} none" if others else "the others see none"
    return f"{link['link']}: {_see(troubled)} trouble, {calm}: something treats them apart"


def _see(probes: list[str]) -> str:
    return f"{' and '.join(probes)} {'see' if len(probes) > 1 else 'sees'}"


def _silence(agent: Told, beginning: Beginning) -> Iterator[str]:
    seen_s = agent["last_seen_s"]
    if seen_s is None and beginning.early:
        yield f"agent {agent['agent']} has not reported yet: {beginning.why()}"
    elif seen_s is None:
        yield f"agent {agent['agent']} {beginning.unheard()}"
    elif seen_s > SILENT_AFTER_S:
        yield f"agent {agent['agent']} is silent for {seen_s:.0f} s"


def _unmeasured(link: Told, beginning: Beginning) -> Iterator[str]:
    if link["age_s"] is None and beginning.early:
        yield f"not measured yet: {beginning.why()}"
    elif link["age_s"] is None:
        yield "not measured yet, though its agent reports"
    elif link["age_s"] > SILENT_AFTER_S:
        yield f"not measured for {link['age_s']:.0f} s, though its agent reports"


def _unfitness(link: Told, agent: Told) -> Iterator[str]:
    health = agent.get("health") or {}
    bits = _stamp(link).get("unfit", 0) or (health.get("unfit", 0) if health.get("fit") == 0 else 0)
    if bits:
        yield f"agent {agent['agent']} was not fit to measure: {unfit_words(bits)}"
    elif health.get("fit") == 0:
        yield f"agent {agent['agent']}: its probe loop has told nothing yet, or no more"


def _unsent(link: Told) -> Iterator[str]:
    stamp = _stamp(link)
    if stamp and not stamp["sent"]:
        yield "no packet could be sent: no key for the far end, or its kernel refused them"
    elif stamp and stamp.get("refused", 0) >= stamp["sent"]:
        yield f"{link['tags']['dst']} refuses STAMP: its agent does not run"


def _excused(link: Told) -> Iterator[str]:
    state = link.get("state") or {}
    for name, words in (("maintenance", "work is announced"), ("drill", "a drill plays on it")):
        if state.get(name):
            yield f"{words}, and such windows do not count"


def _loss(link: Told) -> Iterator[str]:
    state = link.get("state") or {}
    if link.get("verdict_loss") != "unknown" or not state:
        return
    objective, upper = state.get("loss_objective_ratio"), state.get("period_loss_upper_ratio")
    so_far = "" if upper is None else f", below {percent(upper)} so far"
    than = "" if objective is None else f" below {percent(objective)}"
    yield f"too few packets to tell loss{than}{so_far}"


def _delay(link: Told) -> Iterator[str]:
    state = link.get("state") or {}
    if link.get("verdict_delay") != "unknown" or not state:
        return
    delay_us, objective_us = state.get("period_delay_us"), state.get("delay_objective_us")
    if delay_us is None or objective_us is None:
        replied = _stamp(link).get("replied")
        why = "a throughput test ran in every window so far" if replied else "no reply in time"
        yield f"{why}, so no delay is known"
        return
    delay, objective = f"{delay_us / 1e3:.2f} ms", f"the objective of {objective_us / 1e3:g} ms"
    if link.get("delay_basis") == "half round trip":
        yield (
            f"the clocks do not allow one-way delay, and half of the round trip ({delay}) "
            f"cannot be told from {objective}"
        )
    else:
        yield f"too few packets to tell {delay} from {objective}"


def _throughput(link: Told) -> Iterator[str]:
    state = link.get("state") or {}
    if link.get("verdict_throughput") == "unknown" and state.get("promised_bps"):
        yield "throughput has not been measured in time"


def _stamp(link: Told) -> Told:
    stamp: Told = (link.get("probes") or {}).get("stamp") or {}
    return stamp


def percent(ratio: float) -> str:
    """Two significant digits."""
    return f"{float(f'{100 * ratio:.2g}'):g} %"
