"""Links without a key: which they are, what is said of them, and how they are counted."""

from __future__ import annotations

from msgspec.structs import replace

from linkgauge.plan import PlanLink
from probes.engine.keyless import keyless_frame, keyless_links, sentence
from tests.probes.plans import S, plan

LINKS = [PlanLink(f"a>b{n}@n", "10.0.0.1", f"10.0.1.{n}") for n in range(6)]


def test_only_an_authenticated_plan_needs_keys() -> None:
    keys = {link.peer: b"k" * 32 for link in LINKS[1:]}
    assert keyless_links(plan(links=LINKS), {}) == []
    authenticated = replace(plan(links=LINKS), authenticated=True)
    assert keyless_links(authenticated, keys) == LINKS[:1]
    assert keyless_links(authenticated, {}) == LINKS


def test_the_sentence_names_peers_and_the_mend() -> None:
    assert sentence(LINKS) == (
        "the plan wants authenticated STAMP and keys_file has no key for 10.0.1.0, 10.0.1.1, 10.0.1.2 and 3 "
        "more: 6 links are not probed and their packets count as send_failed; add the keys and start the "
        "agent again"
    )


def test_each_class_counts_what_the_plan_wanted_sent() -> None:
    made = replace(plan(links=LINKS), classes=[0, 46], stamp_interval_ns=S // 4)
    frame = keyless_frame(made, LINKS[:2], 20 * S, 10 * S, 8)
    assert frame.text("link").tolist() == ["a>b0@n", "a>b0@n", "a>b1@n", "a>b1@n"]
    assert frame.text("class").tolist() == ["0", "46", "0", "46"]
    assert frame.count("send_failed").tolist() == [40] * 4
    assert frame.count("sent").tolist() == [0] * 4
    assert frame.count("unfit").tolist() == [8] * 4
    assert frame.count("start_ns").tolist() == [20 * S] * 4
