"""report.html: one file, no network, every verdict and its evidence."""

from collections import Counter
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from ramda_verify.checks import BY_ID
from ramda_verify.engine.record import Verdict
from ramda_verify.output.legend import LEGEND
from ramda_verify.output.pictures import pictures
from ramda_verify.output.summary import Summary
from ramda_verify.output.verdict import pace_in_words, plainest_first


def render(summary: Summary) -> str:
    """The page of a run, with its pictures as inline SVG."""
    environment = Environment(
        loader=PackageLoader("ramda_verify", "output"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    counts = Counter(result.status for result in summary.results)
    grouped = [(BY_ID[check], list(rows)) for check, rows in groupby(summary.results, key=lambda r: r.check)]
    return environment.get_template("page.html.j2").render(
        summary=summary,
        counts={verdict: counts[verdict] for verdict in Verdict},
        holds=all(result.status.holds for result in summary.results),
        cases=sum(result.cases for result in summary.results),
        enclosed=sum(result.enclosed for result in summary.results),
        legend=LEGEND,
        recorded=sum(result.recorded for result in summary.results),
        problems=sum(result.problems for result in summary.results),
        seconds=sum(result.seconds for result in summary.results),
        checks=grouped,
        failures=[result for result in plainest_first(summary.results) if result.counterexample is not None],
        pictures=pictures(summary.results),
        pace=pace_in_words,
    )
