"""How the board "Evaluation" asks for scores: of many links from `node_score`, of single ones from
`link_score`.

A score is the share of windows that kept to the tier, of those of which it can be told; its coverage is the
share of which it can. What a whole network, region or operator scores is made of sums, never of means of
shares. Both tables lie in the database of the hours and are kept for years. `node_score` has the sums over
the links from each node, so that a sum over all links reads few rows and is the same number.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.query import matches
from dashboards.words import Text

FILTERS = ("network", "tier", "src_region", "src_operator")
CHOSEN = " AND ".join(matches(name) for name in FILTERS)
TOLD = '(sum("windows_good") + sum("windows_bad") + 0 * mean("good_ratio"))'
"""Windows of which it can be told. What is added is nothing, but unknown where there are none: to InfluxDB
0 / 0 is 0, and a score of 0 would be a verdict."""
SCORE = f'sum("windows_good") / {TOLD}'
DOWN = f'sum("windows_down") / {TOLD}'
COVERAGE = (
    '(sum("windows_good") + sum("windows_bad")) / '
    '(sum("windows") - sum("windows_excused") + 0 * mean("coverage_ratio"))'
)
EXCUSED = 'sum("windows_excused") / sum("windows")'
LEAST_COVERAGE = 0.9
"""Below it a score stands on little."""
HOW = Text(
    " Score: share of windows that kept to loss and delay of their tier, of those of which it can be told. "
    "Coverage: share of which it can. Budget used: above 100 % the objective is broken.",
    " 得分：可判定窗口中符合等级丢包与时延目标的比例。覆盖率：可判定窗口的比例。预算消耗超过 100 % "
    "即未达目标。",
)


@dataclass(frozen=True, slots=True)
class Scores:
    """What is asked of one measurement. objective: the mean over links and hours of what scores should be."""

    measurement: str
    objective: str

    @property
    def used(self) -> str:
        """Of the error budget; 1 = all of it."""
        return f"(1 - {SCORE}) / (1 - {self.objective})"

    def fields(self) -> dict[str, str]:
        """The columns of a ranking."""
        return {
            "score": SCORE,
            "objective": self.objective,
            "used": self.used,
            "coverage": COVERAGE,
            "windows": 'sum("windows")',
            "down": 'sum("windows_down")',
        }

    def asked(self, select: str, rest: str = "", span: str = "$timeFilter") -> str:
        """The statement over the chosen links in a span of time. rest: what follows, as GROUP BY."""
        return f'SELECT {select} FROM "{self.measurement}" WHERE {span} AND {CHOSEN} {rest}'.rstrip()


SUMS = Scores("node_score", 'sum("good_objective_sum_ratio") / sum("links")')
LINKS = Scores("link_score", 'mean("good_objective_ratio")')
