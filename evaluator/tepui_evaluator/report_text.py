"""The answer in plain words: what each law lets a reader say, and nothing that it does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tepui_evaluator.report_data import ReportData
from tepui_evaluator.report_view import View
from tepui_spec.law import Identified, Law

Outlook = Literal["room", "maybe", "near", "unknown"]
LIST_UP_TO = 8
"""Tasks of the opening list."""
_LITTLE = 0.1
"""Share of the best error: if even the optimistic end of the interval gains no more, little is left."""


@dataclass(frozen=True)
class Verdict:
    """What can be said about one task and number of shots. Texts are ready to print."""

    task: str
    shots: int
    outlook: Outlook
    """room: the interval of e_IR lies below the best error so far; maybe: its upper end does not; near: even its lower
    end is close to the best; unknown: the data cannot tell."""
    identified: Identified
    best: float | None
    """Smallest downstream error measured."""
    best_text: str
    floor_text: str
    """e_IR with its interval, or the flag in words."""
    average_text: str
    """The same for the average law: where models like these head on average."""
    gain_text: str
    """Percentage points of error between the best so far and e_IR."""
    sentence: str
    narrow: str
    """Why the interval is as it is, and what would narrow it."""


def percent(value: float) -> str:
    """A fraction as percent with one decimal: 0.0493 is 4.9%."""
    return "<0.1%" if 0.0 < value < 0.0005 else f"{100.0 * value:.1f}%"


def interval(lo: float, hi: float) -> str:
    """An interval of fractions in brackets: [3.0%, 8.1%]."""
    return f"[{percent(lo)}, {percent(hi)}]"


def in_percent(reason: str) -> str:
    """A law's reason with its errors, the numbers with three decimals or called an error, as the report writes them."""
    return re.sub(r"\b[01]\.\d{3}\b|(?<=error below )0\.\d+", lambda found: percent(float(found[0])), reason)


def number(value: float | None) -> str:
    """A coefficient or exponent with three significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:#.3g}".rstrip(".")


def verdict(view: View) -> Verdict:
    """What the headline law of a view says."""
    best, law = view.best, view.headline
    best_error = None if best is None else best.downstream_error
    flag: Identified = "no" if law is None else law.identified
    outlook = _outlook(best_error, law)
    return Verdict(
        task=view.task,
        shots=view.shots,
        outlook=outlook,
        identified=flag,
        best=best_error,
        best_text="–" if best_error is None else percent(best_error),
        floor_text=floor_text(law),
        average_text=floor_text(view.laws.get("average")),
        gain_text=_gain(best_error, law),
        sentence=_sentence(view.task, view.shots, outlook, best_error, law),
        narrow=_sentence_case(
            "no law was fitted: too few models are finished" if law is None else in_percent(law.reason)
        ),
    )


def _sentence_case(text: str) -> str:
    """Capital and full stop, but e_IR keeps its small letter."""
    head = text[:1] if text.startswith("e_IR") else text[:1].upper()
    return f"{head}{text[1:].rstrip('.')}." if text else ""


def floor_text(law: Law | None) -> str:
    """e_IR as far as the data identify it."""
    if law is None:
        return "no law fitted"
    lo_hi = law.interval.e_ir
    if law.identified == "yes" and law.e_ir is not None:
        return percent(law.e_ir) + ("" if lo_hi is None else f" {interval(*lo_hi)}")
    if lo_hi is not None and law.identified == "at_most":
        return f"at most {percent(lo_hi[1])}"
    if lo_hi is not None and law.identified == "weak":
        return f"{percent(lo_hi[0])} to {percent(lo_hi[1])}"
    return "not identified"


def _outlook(best: float | None, law: Law | None) -> Outlook:
    if best is None or law is None or law.interval.e_ir is None:
        return "unknown"
    lo, hi = law.interval.e_ir
    if law.identified == "yes" and law.e_ir is not None and law.e_ir >= best:
        return "near"
    if best - lo <= _LITTLE * best:
        return "near"
    if best > hi:
        return "room"
    return "maybe" if law.identified == "yes" else "unknown"


def _gain(best: float | None, law: Law | None) -> str:
    if best is None or law is None or law.interval.e_ir is None:
        return "cannot tell"
    least, most = (100.0 * max(best - end, 0.0) for end in reversed(law.interval.e_ir))
    if law.identified == "yes" and law.e_ir is not None:
        return f"{100.0 * max(best - law.e_ir, 0.0):.1f} points [{least:.1f}, {most:.1f}]"
    if law.identified == "weak":
        return f"{least:.1f} to {most:.1f} points"
    return f"at least {least:.1f} points" if least >= 0.05 else "cannot tell"


def _sentence(task: str, shots: int, outlook: Outlook, best: float | None, law: Law | None) -> str:
    error = error_name(task, shots)
    if best is None:
        return f"{error} has not been measured yet."
    if outlook == "unknown" or law is None or law.interval.e_ir is None:
        return f"How far better pre-training can lower {error}, now {percent(best)}, the data cannot tell."
    lo, hi = law.interval.e_ir
    if outlook == "near" and best < lo:
        return (
            f"{error} is at its floor as far as the data can tell: floor {floor_text(law)}; the best measurement, "
            f"{percent(best)}, lies below it by the chance of one among {law.n}."
        )
    if outlook == "near":
        return (
            f"{error} is at its floor as far as the data can tell: {percent(best)} now, floor {floor_text(law)}; "
            f"at most {100.0 * max(best - lo, 0.0):.1f} points are left."
        )
    if outlook == "maybe":
        return (
            f"Better pre-training may lower {error} from {percent(best)} to about {floor_text(law)}, "
            "but the data do not rule out that nothing is left to gain."
        )
    reach = {
        "at_most": f"{percent(hi)} or less; how much less the data cannot tell",
        "weak": f"somewhere between {percent(lo)} and {percent(hi)}",
        "no": f"{percent(hi)} or less; where it ends the data cannot tell",
    }.get(law.identified, f"about {floor_text(law)}")
    return f"Better pre-training can still lower {error} from {percent(best)} to {reach}."


def headline(verdicts: Sequence[Verdict]) -> str:
    """The whole study in one sentence."""
    if not verdicts:
        return "No downstream task has been evaluated yet, so there is no answer."
    if len(verdicts) == 1:
        return verdicts[0].sentence
    count = Counter(v.outlook for v in verdicts)
    if count["unknown"] == len(verdicts):
        return f"The data cannot yet tell how far better pre-training can take any of the {len(verdicts)} tasks."
    verbs: dict[Outlook, str] = {"room": "can still help", "maybe": "may help", "near": "has little left to give on"}
    parts = [f"{verb} {count[outlook]}" for outlook, verb in verbs.items() if count[outlook]]
    parts[0] += f" of {len(verdicts)} tasks"
    known = listed(parts)
    return f"Better pre-training {known}" + (
        f"; for {count['unknown']} the data cannot tell." if count["unknown"] else "."
    )


def answers(all_views: Sequence[View]) -> tuple[Verdict, ...]:
    """One verdict a task, at its largest number of shots, the most useful first: what the opening words are about."""
    largest: dict[str, View] = {}
    for view in all_views:
        if view.points or view.laws:
            largest[view.task] = max(view, largest.get(view.task, view), key=lambda v: v.shots)
    order = {"room": 0, "maybe": 1, "near": 2, "unknown": 3}
    said = [(verdict(view), _sure_gain(view)) for view in largest.values()]
    return tuple(told for told, gain in sorted(said, key=lambda pair: (order[pair[0].outlook], -pair[1])))


def _sure_gain(view: View) -> float:
    """By how much the best error so far exceeds the upper end of e_IR's interval, at least 0."""
    law, best = view.headline, view.best
    if law is None or best is None or law.interval.e_ir is None:
        return 0.0
    return max(best.downstream_error - law.interval.e_ir[1], 0.0)


def told(said: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts that the opening list has a line for: all where they are few, else those that say something."""
    if len(said) <= LIST_UP_TO:
        return tuple(said)
    return tuple(verdict for verdict in said if verdict.outlook != "unknown")[:LIST_UP_TO]


def untold(said: Sequence[Verdict]) -> list[str]:
    """The rest of the verdicts in a line each for what they have in common; the table has them all."""
    rest = [verdict for verdict in said if verdict not in told(said)]
    unknown = [verdict.task for verdict in rest if verdict.outlook == "unknown"]
    known = [verdict.task for verdict in rest if verdict.outlook != "unknown"]
    lines = [f"What is left on {listed(known)} stands in the table."] if known else []
    return lines + (
        [f"How far better pre-training can lower {listed(unknown)}, the data cannot tell."] if unknown else []
    )


def caveats(data: ReportData, all_views: Sequence[View]) -> tuple[str, ...]:
    """What a reader must know before acting on the numbers."""
    laws = [view.headline for view in all_views if view.headline is not None]
    lines = []
    if data.interim:
        lines.append("Trials are still running: these numbers will change.")
    if laws:
        lines.append(
            f"Intervals in brackets hold the true value in {100 * laws[0].confidence:g}% of studies if the law holds. "
            "The floor e_IR is an extrapolation: the error that the law leaves when the upstream error reaches zero, "
            "for this upstream data, this few-shot protocol and models like these."
        )
    lines.extend(_heldout_caveat(laws))
    return tuple(lines)


def _heldout_caveat(laws: Sequence[Law]) -> list[str]:
    tested = [law.heldout for law in laws if law.heldout is not None and law.heldout.best is not None]
    if not tested:
        return []
    won, lost = sum(score.best == "law" for score in tested), sum(score.lost_to is not None for score in tested)
    text = (
        f"Check on held-out models: fitted on the models that are worse upstream, the law predicted the better ones "
        f"better than three simpler curves in {won} of {len(tested)} cases"
    )
    if lost:
        return [f"{text}; in {lost} a curve without a floor was clearly better, which puts those floors in doubt."]
    if 2 * won < len(tested):
        return [f"{text}, though it was never clearly worse: the check decides neither for the law nor against it."]
    return [f"{text}, and was never clearly worse. That supports the law, though it cannot prove a floor."]


def scope(data: ReportData) -> str:
    """How large the study is and how far it reached, in a line."""
    upstream = [t.upstream_error for t in data.trials] or [p.upstream_error for p in data.points]
    finished = len(data.trials) or len({p.trial for p in data.points})
    planned = data.planned_trials
    parts = [f"{finished} of {planned} trials finished" if planned is not None else f"{finished} models"]
    if data.failures:
        parts.append(f"{len(data.failures)} failed")
    names = sorted({t.family for t in data.trials} | {p.family for p in data.points})
    if names:
        parts.append(", ".join(names) if len(names) <= 6 else f"{len(names)} families")
    if upstream:
        ends = dict.fromkeys((percent(min(upstream)), percent(max(upstream))))
        parts.append(f"upstream error {' to '.join(ends)}")
    return " · ".join(parts)


def error_name(task: str, shots: int) -> str:
    """What is measured: mnist 25-shot error; without shots (0), the error on the task."""
    return f"{task} {shots}-shot error" if shots else f"{task} error"


@cache
def words(name: str) -> str:
    """A field's name as words: dataFraction is data fraction."""
    return re.sub(r"[A-Z]", lambda found: f" {found[0].lower()}", name)


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def points_text(difference: float) -> str:
    """A difference of fractions in percentage points: 0.0312 is 3.1 points."""
    return f"{100.0 * difference:.1f} points"
