"""``make bench-detect``: every story judged by this project's rules and by public ones, and thirty quiet days replayed.

Ends with exit code 1 if ours misses a fault, raises a false alarm, opens another number of incidents than one for a
fault, or departs from a label in any other way.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from include.drills.benchmarks.report import DETECTION, Section, put_sections, save
from include.settings import load_settings
from include.stack.console import console, step
from tests.detection.baselines import BASELINES
from tests.detection.judge import OURS, Score, judge, judge_alerts
from tests.detection.quiet_days import Replayed, replay_in_halves
from tests.detection.replay import play
from tests.detection.stories import STORIES

DAYS = 30
VARIANTS = 3  # of each story: other noise, other moments between two looks
_WIDTH = 140  # of the tables in a file
DETECTORS = (OURS, *(baseline().name for baseline in BASELINES))

Scores = dict[str, list[Score]]  # by detector, in the order of the stories


def main() -> int:
    """Measure, print, write, and say whether everything was as labelled."""
    with step(f"{len(STORIES)} stories, {VARIANTS} times each"):
        scores = score_all()
    with step(f"{DAYS} quiet days"):
        days = replay_in_halves(DAYS)
    wide = console if console.is_terminal else Console(width=_WIDTH)
    wide.print(_table(_story_columns(), _story_rows(scores)))
    wide.print(_table(_SUMMARY, _summary_rows(scores)))
    sections = [_summary(scores, days), _stories(scores)]
    folder = load_settings().home / "bench"
    for name, section in zip(DETECTION, sections, strict=True):
        save(name, section, folder)
        for finding in section.findings:
            console.print(f"- {finding}", markup=False)
    put_sections(sections)
    problems = [f"{score.story}: {problem}" for score in scores[OURS] for problem in score.problems]
    problems += [f"{DAYS} quiet days: {page.scenario} at {page.at}: {page.text}" for page in days.pages]
    for problem in problems:
        console.print(f"not as labelled: {problem}", markup=False)
    return 1 if problems else 0


def score_all() -> Scores:
    """Play every story in its variants, for all detectors."""
    scores: Scores = {name: [Score(story.name, name) for story in STORIES] for name in DETECTORS}
    for place, story in enumerate(STORIES):
        for number in range(VARIANTS):
            played = play(story.variant(number), baselines=True)
            for name in DETECTORS:
                scores[name][place].add(judge(played) if name == OURS else judge_alerts(played, name))
    return scores


# --- Story by story ----------------------------------------------------------------------------------------------
def _story_columns() -> list[str]:
    return ["story", "faults", *DETECTORS]


def _story_rows(scores: Scores) -> list[list[str]]:
    return [
        [of_story[0].story, str(of_story[0].faults // VARIANTS), *(_cell(score) for score in of_story)]
        for of_story in zip(*scores.values(), strict=True)
    ]


def _cell(score: Score) -> str:
    """Delays, and what was wrong."""
    words = []
    if score.delays:
        median, worst = statistics.median(score.delays), max(score.delays)
        words.append(f"{median:.1f} s" if f"{median:.1f}" == f"{worst:.1f}" else f"{median:.1f} s, worst {worst:.1f}")
    if score.misses:
        words.append("missed" if score.misses == score.faults else f"{score.misses} of {score.faults} missed")
    if score.opened > max(VARIANTS, score.faults):
        words.append(f"{score.opened / VARIANTS:.1f} incidents")
    if score.false_alarms:
        words.append(f"{score.false_alarms / VARIANTS:.1f} false alarms")
    return "; ".join(words) or "quiet"


def _stories(scores: Scores) -> Section:
    return Section(
        "Detection: story by story",
        f"Median and worst of {VARIANTS} runs each, from the injection to the incident (for growing lag: from the "
        "moment when the oldest unread record is older than the playbook allows). Incidents and false alarms are those "
        "of one run on average. A story without faults is one in which nobody may be paged. The stories and what is "
        "expected of each are in `tests/detection/stories_*.py`.",
        _story_columns(),
        _story_rows(scores),
    )


# --- In total ----------------------------------------------------------------------------------------------------
_SUMMARY = ["rules", "faults told", "median delay", "worst delay", "misses", "false alarms", "incidents per fault"]


def _summary_rows(scores: Scores) -> list[list[str]]:
    return [[name, *_figures(of_detector)] for name, of_detector in scores.items()]


def _figures(scores: Iterable[Score]) -> list[str]:
    scores = list(scores)
    faults, delays = sum(s.faults for s in scores), [delay for s in scores for delay in s.delays]
    opened = sum(s.opened for s in scores)
    return [
        f"{len(delays)} of {faults}",
        f"{statistics.median(delays):.1f} s" if delays else "–",
        f"{max(delays):.1f} s" if delays else "–",
        str(sum(s.misses for s in scores)),
        str(sum(s.false_alarms for s in scores)),
        f"{opened / len(delays):.2f}" if delays else "–",
    ]


def _summary(scores: Scores, days: Replayed) -> Section:
    ours = scores[OURS]
    departures = sum(len(score.problems) for score in ours)
    return Section(
        "Detection: delay, misses, false alarms, incidents per fault",
        f"{len(STORIES)} labelled stories on a simulated plant (seeded, one round of looks a second, faults with their "
        f"consequences at every hop), {VARIANTS} runs of each, judged by all rules. The others are "
        "written from their public descriptions: Burrow's five rules over ten commits, asked once a minute; a fixed "
        "threshold per component (broker's port closed for 3 min, database or process not up for 1 min, more than "
        "10,000 records of lag for 5 min); a silence timer of 120 s. For them any alert during a fault counts as told, "
        "whatever it names.",
        _SUMMARY,
        _summary_rows(scores),
        [
            f"Aim: no miss, no false alarm, one incident for one fault, each with the right scenario, cause and root: "
            f"{departures} departures in {VARIANTS * len(ours)} runs.",
            f"Aim: {DAYS} quiet days replay in under 60 s: {days.judge_seconds:.0f} s for {days.steps:,} rounds, half "
            f"of them on each of two cores ({days.step_microseconds:.0f} µs each; making them took "
            f"{days.plant_seconds:.0f} s more).",
            f"Pages in {DAYS} quiet days: {len(days.pages)}; records: {len(days.openings) - len(days.pages)}.",
        ],
    )


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    sys.exit(main())
