"""The pages that people read are made of the data, and say first what matters first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.playbook.doc import dag_doc, remediation_doc
from include.playbook.names import ScenarioId
from include.playbook.playbook import DATA, get_playbook, load_playbook
from include.playbook.remedies import limits, mark, way_back, who_agrees
from include.playbook.render import COMMAND, differing_pages, runbook_pages, write_pages


def test_the_committed_pages_are_what_the_data_says() -> None:
    differing = differing_pages(get_playbook())
    assert not differing, f"docs/runbooks: {', '.join(differing)} differ from the playbook's data. Rewrite: {COMMAND}"


def changed_playbook(tmp_path: Path, old: str, new: str):
    shutil.copytree(DATA, tmp_path / "data")
    file = tmp_path / "data" / "scenarios" / "kafka_lag.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return load_playbook(tmp_path / "data")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("waiting_seconds = 15", "waiting_seconds = 16"),
        ("confirm_seconds = 5", "confirm_seconds = 6"),
        ("hold_seconds = 10", "hold_seconds = 11"),
        ('"growing backlog"', '"shrinking backlog"'),
        ('owner = "data-platform"', 'owner = "somebody"'),
        ('risk = "risky"', 'risk = "safe"'),
        ("cooldown_seconds = 900", "cooldown_seconds = 901"),
        ("The lag is gone, and a setting", "A setting"),
        ("touching Spark for a wrong figure", "it"),
        ("log_lines = 200", "log_lines = 201"),
        ("Go to stream_processor_failure.", "Go home."),
        ('"faster MySQL writes"', '"slower MySQL writes"'),
        ("review_by = 2027-05-24", "review_by = 2027-05-25"),
    ],
)
def test_a_change_of_the_data_makes_the_committed_page_differ(tmp_path: Path, old: str, new: str) -> None:
    assert "kafka_lag.md" in differing_pages(changed_playbook(tmp_path, old, new))


def test_writing_brings_the_folder_in_line_with_the_data(tmp_path: Path) -> None:
    playbook, folder = get_playbook(), tmp_path / "runbooks"
    assert set(write_pages(playbook, folder)) == {"README.md", *(f"{each}.md" for each in ScenarioId)}
    (folder / "kafka_lag.md").write_text("edited by hand")
    (folder / "kafka_leg.md").write_text("a scenario that is no more")
    (folder / "mysql_not_writing.md").unlink()
    stale = ("kafka_lag.md", "kafka_leg.md", "mysql_not_writing.md")
    assert differing_pages(playbook, folder) == stale
    assert write_pages(playbook, folder) == stale
    assert differing_pages(playbook, folder) == ()


@pytest.mark.parametrize("scenario", ScenarioId)
def test_the_first_screen_says_what_is_wrong_what_to_check_and_what_to_do(scenario: ScenarioId) -> None:
    found, page = get_playbook().scenarios[scenario], runbook_pages(get_playbook())[f"{scenario}.md"]
    first_screen = "\n".join(page.splitlines()[:30])
    expected = [f"# {found.title}", found.severity.label, found.wrong, "## Check"]
    expected += [found.diagnostics[0].command, "## Do", *(f". **{rung.action}**" for rung in found.ladder)]
    places = [first_screen.find(words) for words in expected]
    assert -1 not in places, dict(zip(expected, places, strict=True))
    assert places[0] < places[2] < places[3] < places[5]


@pytest.mark.parametrize("scenario", ScenarioId)
@pytest.mark.parametrize("make", [lambda s: runbook_pages(get_playbook())[f"{s}.md"], dag_doc], ids=["runbook", "dag"])
def test_both_pages_name_what_is_watched_every_cause_every_number_and_who_is_told(scenario: ScenarioId, make) -> None:
    found, page = get_playbook().scenarios[scenario], make(scenario)
    for words in (*found.probes, found.decided_text, *get_playbook().severity.path[:1], str(found.review_by)):
        assert words in page
    for entry in found.causes:
        assert f"**{entry.title}**" in page
        assert f"| {entry.told_apart_by} | {entry.first} |" in page
    assert page.count("\n| ") >= len(found.causes) + len(type(found.thresholds).model_fields)


def in_order(page: str, words: list[str]) -> None:
    """Each is there, behind the one before."""
    place = 0
    for each in words:
        place = page.find(each, place)
        assert place >= 0, each


@pytest.mark.parametrize("scenario", ScenarioId)
def test_the_runbook_tells_all_of_each_step_and_what_is_left_to_people(scenario: ScenarioId) -> None:
    found, page = get_playbook().scenarios[scenario], runbook_pages(get_playbook())[f"{scenario}.md"]
    for number, rung in enumerate(found.ladder, 1):
        texts = [rung.runs, rung.by_hand, rung.needed_when, rung.verified_by, way_back(rung), limits(rung)]
        heads = [f"### {number}. {rung.action} (`{rung.id}`)", *texts[:5], who_agrees(rung)[1:], texts[5]]
        in_order(page, heads)
    for left in found.by_people:
        entry = found.entry(left.cause)
        assert entry is not None
        assert (
            f"| **{entry.title}** (`{left.cause}`) | {left.because} | {left.tell[:1].upper()}{left.tell[1:]} |" in page
        )
        assert f"**{entry.title}** (`{left.cause}`), left to people |" in page
    assert page.count(", left to people |") == len(found.by_people)


FORM = ("reason", "incident_id", "rungs", "dry_run", "ask_before_risky", "override_guardrails")


@pytest.mark.parametrize("scenario", ScenarioId)
def test_the_page_of_a_remediation_says_what_it_does_what_the_form_means_and_what_it_never_does(
    scenario: ScenarioId,
) -> None:
    found, page = get_playbook().scenarios[scenario], remediation_doc(scenario)
    in_order(
        page, ["**diagnose**", "**mitigate**", "**recover**", "**document**", "**The form**", "never do", "**By hand**"]
    )
    in_order(page, [f"{n}. **{rung.action}** (`{rung.id}`)" for n, rung in enumerate(found.ladder, 1)])
    in_order(page[page.index("**By hand**") :], [f"{n}. {r.action}" for n, r in enumerate(found.ladder, 1)])
    for rung in found.ladder:
        assert rung.by_hand in page
        assert f"| {rung.needed_when} | {rung.verified_by} | {who_agrees(rung)} | {limits(rung)} |" in page
    assert all(f"| `{field}` |" in page for field in FORM)
    never = page[page.index("never do") : page.index("**Stop it.**")]
    assert all(str(found.entry(left.cause).title) in never for left in found.by_people)  # type: ignore[union-attr]
    assert f"bin/playbook pause --scenario {scenario} --reason" in page
    puts_back = scenario in {ScenarioId.KAFKA_LAG, ScenarioId.PRODUCER_SILENT}
    assert ("Then what was changed for a time is put back (`put_settings_back`)." in page) is puts_back
    assert ("is put back (" in page) is puts_back
    in_order(dag_doc(scenario), [f"{n}. {r.action}{mark(r)}: {r.runs}" for n, r in enumerate(found.ladder, 1)])


def test_who_must_agree_and_what_comes_later_is_seen_at_a_glance() -> None:
    rungs = {rung.id: mark(rung) for scenario in get_playbook().scenarios.values() for rung in scenario.ladder}
    assert {rung.value: words for rung, words in rungs.items() if words} == {
        "move_kafka_log_aside": " (destructive: a second person must agree)",
        "rebuild_from_kafka": " (destructive: a second person must agree)",
        "switch_endpoint": " (risky: a person must agree)",
        "reduce_producer_frequency": " (risky: a person must agree)",
        "put_settings_back": " (when all is well again)",
    }


@pytest.mark.parametrize("scenario", ScenarioId)
def test_tables_are_whole(scenario: ScenarioId) -> None:
    for page in (dag_doc(scenario), remediation_doc(scenario), runbook_pages(get_playbook())[f"{scenario}.md"]):
        lines = page.splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if line.startswith("|") and before.startswith("|"):
                assert line.count("|") == before.count("|"), line
            if line.startswith("|") and not before.startswith("|"):
                assert before == "", f"no empty line above: {line}"


def test_the_index_leads_from_what_one_sees_to_the_page() -> None:
    index = runbook_pages(get_playbook())["README.md"]
    assert "topic gets no new messages; API failures; rate limits | [Producer not sending](producer_silent.md)" in index
    assert index.count("](") == len(ScenarioId)
