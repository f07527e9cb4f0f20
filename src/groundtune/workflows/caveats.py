"""Say what a reader of a verdict has to know about a run, from its conditions and figures. Decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.common.text import format_count
from groundtune.decide.costs import ApproachCost
from groundtune.decide.rules import CLEARLY_CHEAPER
from groundtune.decide.wording import usd
from groundtune.display.limits import TRAINED, how_to_raise
from groundtune.types import ApproachSummary, Verdict


def training_caveats(about: Mapping[str, Any], training_means: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the caveats on trainings and models. training_means: approach to the mean of each of its trainings."""
    return [
        *_seen_caveats(about),
        *_seed_caveats(about.get("trainings", {}), training_means),
        *_forgetting_caveats(about),
        *_model_caveats(about),
    ]


def cut_caveats(summaries: Sequence[ApproachSummary], about: Mapping[str, Any]) -> list[str]:
    """Name the approaches whose replies ended too early, and the key that lets them end."""
    tables, trained = about.get("model_tables", {}), about.get("artifacts", {})
    return [
        f"{summary.name}: {format_count(count, 'reply', 'replies')} of "
        f"{summary.answered + summary.abstained + summary.errors:,} cut off at {limit}: "
        f"{TRAINED if summary.name in trained else how_to_raise(limit, tables.get(summary.name))}."
        for summary in summaries
        for limit, count in summary.cut.items()
    ]


def cost_caveats(verdict: Verdict, costs: Sequence[ApproachCost]) -> list[str]:
    """Say so when set-up and upkeep make the recommended approach dearer than another leader."""
    monthly = {each.name: each.monthly_usd.likely for each in costs if each.monthly_usd is not None}
    mine = monthly.get(verdict.choice or "")
    if mine is None:
        return []
    cheaper = [name for name in verdict.leaders if monthly.get(name, mine) < CLEARLY_CHEAPER * mine]
    if not cheaper:
        return []
    other = min(cheaper, key=lambda name: monthly[name])
    return [
        f"With set-up and upkeep, which are assumed, a month of {verdict.choice} costs about {usd(mine)}, "
        f"of {other} about {usd(monthly[other])} (groundtune costs)."
    ]


def _seen_caveats(about: Mapping[str, Any]) -> list[str]:
    return [
        f"{format_count(n, 'example')} {'was' if n == 1 else 'were'} excluded for every approach, "
        f"because {name} was trained on {'its' if n == 1 else 'their'} id or input."
        for name, n in about.get("trained_on", {}).items()
    ]


def _seed_caveats(trainings: Mapping[str, Mapping[str, Any]], measured: Mapping[str, Sequence[float]]) -> list[str]:
    """Say for which trainings the intervals hold, and what can be done to widen that.

    measured: approach to the mean of each of its trainings.
    """
    caveats = []
    trainings = {name: about for name, about in trainings.items() if about.get("compared", True)}
    single = [name for name, about in trainings.items() if not about["further"]]
    if single:
        tables = dict.fromkeys(f"[tune.{trainings[name]['table']}]" for name in single if "@" not in name)
        hint = f": {' and '.join(tables)} seeds = 3 measures the spread between trainings" if tables else ""
        verb, which = ("hold", "these single trainings") if len(single) > 1 else ("holds", "this one training")
        subject = "The intervals of" if len(single) > 1 else "The interval of"
        caveats.append(f"{subject} {', '.join(single)} {verb} for {which}{hint}.")
    for name, about in trainings.items():
        means = ", ".join(f"{mean:.3f}" for mean in measured.get(name, ()))
        if means:
            count = len(about["further"]) + 1
            caveats.append(f"The interval of {name} includes the spread between its {count} trainings: {means}.")
        if len(about["further"]) + 1 < about["seeds"]:
            caveats.append(
                f"{len(about['further']) + 1} of {about['seeds']} trainings of {name} could be measured: "
                f"groundtune tune {about['table']} trains those that are missing."
            )
    return caveats


def _forgetting_caveats(about: Mapping[str, Any]) -> list[str]:
    """Describe what training made each base model forget, once per artifact."""
    names: dict[str, list[str]] = {}
    for name, line in about.get("forgetting", {}).items():
        names.setdefault(line, []).append(name)
    return [f"{line} ({', '.join(trained)})" for line, trained in names.items()]


def _model_caveats(about: Mapping[str, Any]) -> list[str]:
    return [f"{note} ({', '.join(names)})." for note, names in about.get("model_notes", {}).items()]
