"""What the collector finds out beside the verdicts: signals of links, nodes, sinks, alerts.

A signal is one number of one thing in one window, so that a rule is a bound on it, the same in the collector
and in Grafana. Unknown is NaN, except where "absent" is said: there NaN means that nothing happened, which
keeps the store small.
"""

from __future__ import annotations

from linkgauge.table import Table, count, real, text

DOWN_S = 1.0
"""A link whose far end has not answered for longer is down."""
BEHIND_S = 300
"""A sink whose oldest batch is older is behind, as in the rule collector-backlog."""
SILENT_S = 60
"""An agent that was not heard for longer is silent, as in the rule agent-silent."""
_STATE = "link_state"

SIGNALS = (
    real(
        "unanswered_s",
        _STATE,
        "How long the far end had not answered when the window ended, from ten packets on; 0: it answered, "
        "or says that packets of this direction reach it.",
    ),
    real("pdv_us", _STATE, "Packet delay variation of the window's round trips: high percentile - smallest."),
    real("pdv_excess_us", _STATE, "pdv_us - the tier's."),
    real(
        "delay_step_us",
        _STATE,
        "By how much the smallest delay rose in the last step within the period; absent: none rose.",
    ),
    real(
        "asymmetry_shift_us",
        _STATE,
        "Delay out - delay back, less what that was over the period before; from smallest one-way delays.",
    ),
    real(
        "asymmetry_excess_us",
        _STATE,
        "abs(asymmetry_shift_us) less what clocks may have drifted and a tenth of the tier's delay.",
    ),
    real("ce_forward_ratio", _STATE, "Share of packets that arrived marked Congestion Experienced."),
    real(
        "ce_forward_excess_ratio", _STATE, "Its lower bound (99 % one-sided) - the tier's; absent: no mark."
    ),
    real("ce_backward_ratio", _STATE, "The same of replies."),
    real("ce_backward_excess_ratio", _STATE, "Its lower bound - the tier's; absent: no mark."),
    real("remarked_forward_ratio", _STATE, "Share of packets that arrived with another DSCP; absent: none."),
    real("remarked_backward_ratio", _STATE, "The same of replies; absent: none."),
    real("path_changes", _STATE, "Changes of the way within the period; absent: none."),
    real("mtu_shrunk_bytes", _STATE, "By how much the path's MTU is below the day's largest; absent: not."),
    real(
        "throughput_shortfall_ratio", _STATE, "Share of what goodput was promised that is missing; < 0: none."
    ),
    real(
        "throughput_low_ratio",
        _STATE,
        "The same of the better of the last two tests; of the last alone if it misses over half, or nothing.",
    ),
    real("certificate_left_s", _STATE, "Until the far end's certificate expires; < 0: it has."),
    real(
        "burn_fast_ratio", _STATE, "Error budget used against its pace: the lesser of 5 minutes and 1 hour."
    ),
    real("burn_slow_ratio", _STATE, "The same: the lesser of 30 minutes and 6 hours."),
    real(
        "budget_left_ratio",
        _STATE,
        "Share of the error budget of the last three days that is left; may be < 0.",
    ),
    count("good", _STATE, "1: loss and delay of this window keep to the tier, as far as can be told."),
    count(
        "bad", _STATE, "1: this window breaks the tier's loss or delay for sure. Neither: it cannot be told."
    ),
    count("maintenance", _STATE, "1: announced work touches this link; it does not count in scores."),
    count(
        "drill", _STATE, "1: a reflector plays a fault on this link on purpose; it does not count in scores."
    ),
)

_NODE = "node_state"

NODE = Table(
    "node",
    ("node", "site", "region", "operator"),
    (
        real("silent_s", _NODE, "Since when its agent was not heard; unknown for a minute after a start."),
        real(
            "unfit_ratio", _NODE, "1: its agent was not fit in its last window; 0: it was; unknown: silent."
        ),
        real("clock_unsynchronised_ratio", _NODE, "1: nothing steers its clock; 0: something does."),
        real("clock_error_us", _NODE, "Bound on its wall clock's error."),
        real("plan_age_s", _NODE, "Since when its plan was not confirmed."),
        real("outbox_oldest_s", _NODE, "Age of the oldest batch that it could not hand over."),
        count("outbox_dropped", _NODE, "Batches that its outbox lost since it was made."),
        count("links_in", _NODE, "Links to it that others measured in this window."),
        count("links_in_down", _NODE, "Of these: unanswered."),
        count("links_out", _NODE, "Links from it that it measured in this window."),
        count("links_out_down", _NODE, "Of these: unanswered."),
        real(
            "down_ratio",
            _NODE,
            "1: no link to it is answered, measured by at least two others; 0: one is; else unknown.",
        ),
        real("certificate_left_s", _NODE, "Until the first of its certificates that others see expires."),
        count("maintenance", _NODE, "1: announced work touches this node."),
        count("drill", _NODE, "1: its reflector plays a fault on purpose."),
        real("latitude_deg", _NODE, "Where its site is; unknown when the inventory does not tell."),
        real("longitude_deg", _NODE, "The same."),
    ),
)

_MEMBER = "member_state"

MEMBER = Table(
    "member",
    ("node", "network", "site"),
    (
        count("gateway", _MEMBER, "1: its site reaches other sites on this network by it."),
        count("links_met", _MEMBER, "Links from it on this network with the verdict met."),
        count("links_missed", _MEMBER, "Links from it with the verdict missed."),
        count("links_unknown", _MEMBER, "Links from it of which nothing can be said."),
        count("links_down", _MEMBER, "Of all: those that were not answered when the window ended."),
        real("promised_bps", _MEMBER, "What each of its links should carry; unknown: nothing was promised."),
        real("received_least_bps", _MEMBER, "Of the last throughput tests of its links the least."),
        real("received_most_bps", _MEMBER, "The most: so much its access can carry for sure."),
    ),
)
"""How each node stands on each of its networks: a row in every window."""

_SINK = "sink_state"

SINK = Table(
    "sink",
    ("collector", "sink"),
    (
        count("backlog_batches", _SINK, "Batches that it has not taken."),
        real("lag_s", _SINK, "Age of the oldest of them; 0 when none waits."),
        real("held_ratio", _SINK, "1: it takes nothing just now; 0: it does."),
        real("stuck_ratio", _SINK, "held_ratio, but 0 while an earlier sink of its server is in trouble."),
        real("behind_s", _SINK, "lag_s, but 0 while an earlier sink of its server is held or behind."),
    ),
)

_PLACE = "place_state"

PLACE = Table(
    "place",
    ("place", "kind", "network", "direction", "site"),
    (
        count("links_bad", _PLACE, "Links in trouble that cross it in this direction."),
        count(
            "links_judged", _PLACE, "Links that cross it in this direction and of which something is known."
        ),
        real("explained_ratio", _PLACE, "Share of the network's links in trouble that it explains."),
        real("sure_ratio", _PLACE, "1: no other place explains as much; 0.5: others do, they are named."),
        text("others", _PLACE, "Places that explain the same."),
        count("links_small", _PLACE, "Links whose smaller path MTU it explains."),
        real("mtu_bytes", _PLACE, "Median of the path MTU of these; absent: of none is it known."),
        real("mtu_usual_bytes", _PLACE, "The same of what it was."),
        count("links_remarked", _PLACE, "Links of which it rewrites the DSCP."),
        real("remarked_ratio", _PLACE, "Median share of their packets that it rewrites; absent: of none."),
    ),
)
"""Places that explain the trouble of several links: a row while one does. kind: node, gateway, site, hop,
trunk (between two sites), network. links_bad: 0 where it only alters packets."""

_ALERT = "alert_state"

ALERT = Table(
    "alert",
    ("rule", "severity", "about", "direction", "network", "site", "team"),
    (
        count("firing", _ALERT, "1: fires; 0: ended with this window."),
        count("held_back", _ALERT, "1: told to nobody, because another alert explains it, or by a silence."),
        real("since_s", _ALERT, "How long ago its first breached window began."),
        text("cause", _ALERT, "Id of the alert that explains it."),
        text("summary", _ALERT, "The sentence that was told."),
    ),
)
"""about: the link, node, sink or collector. A row in every window while it fires, one when it ends."""

_SCORE = "link_score"

SCORE = Table(
    "score",
    ("link", "src_operator", "dst_operator"),
    (
        count("windows", _SCORE, "Windows of the hour with a verdict, known or not."),
        count("windows_good", _SCORE, "Of these: loss and delay kept to the tier."),
        count("windows_bad", _SCORE, "Of these: they surely did not."),
        count("windows_down", _SCORE, "Of the bad: nothing was answered at the end."),
        count("windows_excused", _SCORE, "Of all: announced work or a drill; they are neither good nor bad."),
        real("good_ratio", _SCORE, "windows_good / (windows_good + windows_bad)."),
        real("good_objective_ratio", _SCORE, "What it should be."),
        real("coverage_ratio", _SCORE, "Share of the windows that are not excused of which it can be told."),
    ),
)
"""An hour of verdicts of each link, kept as long as the roll-ups of an hour."""

_NODE_SCORE = "node_score"

NODE_SCORE = Table(
    "node_score",
    ("src", "src_site", "src_region", "src_operator", "network", "tier"),
    (
        count("links", _NODE_SCORE, "Links that are added up and have an objective."),
        count("windows", _NODE_SCORE, "Sum of their `windows`."),
        count("windows_good", _NODE_SCORE, "Sum of their `windows_good`."),
        count("windows_bad", _NODE_SCORE, "Sum of their `windows_bad`."),
        count("windows_down", _NODE_SCORE, "Sum of their `windows_down`."),
        count("windows_excused", _NODE_SCORE, "Sum of their `windows_excused`."),
        real("good_ratio", _NODE_SCORE, "windows_good / (windows_good + windows_bad)."),
        real("good_objective_sum_ratio", _NODE_SCORE, "Sum of their `good_objective_ratio`."),
        real(
            "coverage_ratio",
            _NODE_SCORE,
            "Share of the windows that are not excused of which it can be told.",
        ),
    ),
)
"""The scores of an hour added up over the links from each node, by network and tier: all that sums over many
links need, in few rows. Of a node, because an hour may be made again for one agent alone."""
