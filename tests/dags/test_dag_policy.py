"""Every Dag file, by the house rules."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from include.playbook.names import ScenarioId

DAGS = Path(__file__).resolve().parents[2] / "dags"
FILES = sorted(DAGS.rglob("*.py"))
SUPERVISION = {"supervise_btc_producer", "supervise_stream_processor"}
HEALTH = {f"health_{scenario}" for scenario in ScenarioId}
REMEDIATION = {f"remediate_{scenario}" for scenario in ScenarioId}
INCIDENT = {"post_incident_review", "reconcile_incidents", "repair_data"}
DAG_IDS = SUPERVISION | HEALTH | REMEDIATION | INCIDENT
PARSE_SECONDS = 1.0  # on a busy machine; some 0.05 s on a quiet one


@pytest.fixture(scope="module")
def dag_bag():
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(DAGS), collect_dags=True)


def params_problems(params: Any) -> list[str]:
    """What a form made of these parameters would leave a person to guess."""
    found = []
    for name in params:
        param = params.get_param(name)
        if not (param.schema.get("type") or param.schema.get("enum")):
            found.append(f"{name} has no schema")
        if not param.description:
            found.append(f"{name} has no description")
    return found


def test_the_rule_about_parameters_finds_what_is_missing() -> None:
    from airflow.sdk import Param
    from airflow.sdk.definitions.param import ParamsDict

    good = Param(1, type="integer", description="How many")
    assert params_problems(ParamsDict({"good": good, "bare": Param(1)})) == [
        "bare has no schema",
        "bare has no description",
    ]


def test_all_dags_load_and_are_the_ones_that_were_agreed(dag_bag) -> None:
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == DAG_IDS


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_one_file_holds_one_dag_of_its_name(dag_bag, path: Path) -> None:
    assert [d.dag_id for d in dag_bag.dags.values() if Path(d.fileloc) == path] == [path.stem]


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_every_dag_says_whose_it_is_what_it_is_for_and_how_to_use_it(dag_bag, dag_id: str) -> None:
    from playbook_airflow.tags import DagTag

    dag = dag_bag.dags[dag_id]
    assert dag.default_args["owner"] != "airflow"
    assert {"owner", "retries"} <= dag.default_args.keys()
    assert dag.tags
    assert dag.tags <= set(DagTag)
    assert dag.description
    assert len(dag.doc_md) > 500
    assert not dag.catchup
    assert dag.max_active_runs == 1 or dag.schedule is None  # what waits for a person holds up nobody else
    assert params_problems(dag.params) == []
    for task in dag.tasks:
        assert task.owner == dag.default_args["owner"]
        bounded = task.execution_timeout or getattr(task, "response_timeout", None)  # of a task that asks a person
        assert task.task_id == "supervise" or bounded, f"{task.task_id} may run for ever"


@pytest.mark.parametrize("dag_id", sorted(SUPERVISION))
def test_a_supervision_dag_supervises_and_nothing_gates_it(dag_bag, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    supervise = dag.get_task("supervise")
    assert dag_id == f"supervise_{supervise.service}"
    assert dag.schedule == "@continuous"
    assert not supervise.upstream_task_ids
    assert not supervise.downstream_task_ids
    assert supervise.retries == 0, "a retry would get round the restart budget"
    for word in ("mark the run **failed**", "off and on", "pause", "Crash loop", "Process log", supervise.service):
        assert word in dag.doc_md, f"the person is not told about {word}"


@pytest.mark.parametrize("scenario", ScenarioId)
def test_a_health_dag_reads_as_the_playbook(dag_bag, scenario: ScenarioId) -> None:
    """Watch, then healthy, or undecided, or the incident and its hand-over; the page is the playbook's own."""
    from include.playbook.doc import dag_doc

    dag = dag_bag.dags[f"health_{scenario}"]
    assert dag.schedule == "@continuous"
    assert {t.task_id: t.downstream_task_ids for t in dag.tasks} == {
        "watch": {"healthy", "undecided", "open_or_join_incident", "hand_over_to_remediation"},
        "healthy": set(),
        "undecided": set(),
        "open_or_join_incident": set(),
        "hand_over_to_remediation": set(),
    }
    watch = dag.get_task("watch")
    assert watch.scenario == scenario
    assert {t for branch in watch.branches.values() for t in branch} == {t.task_id for t in dag.tasks} - {"watch"}
    assert dag.get_task("hand_over_to_remediation").trigger_dag_id == f"remediate_{scenario}"
    assert dag.doc_md == dag_doc(scenario)


def in_a_row(dag: Any, first: str) -> list[str]:
    """The tasks behind ``first``, where each has one behind it."""
    found = [first]
    while len(behind := dag.get_task(found[-1]).downstream_task_ids) == 1:
        found += behind
    return found


@pytest.mark.parametrize("scenario", ScenarioId)
def test_a_remediation_dag_reads_as_the_playbook(dag_bag, scenario: ScenarioId) -> None:
    """Diagnose, mitigate, recover, document; the rungs in the ladder's order, and a question before each risky one."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    from include.playbook.doc import remediation_doc
    from include.playbook.ladder import Risk
    from include.playbook.playbook import get_playbook

    dag, ladder = dag_bag.dags[f"remediate_{scenario}"], get_playbook().scenarios[scenario].ladder
    expected: dict[bool, list[str]] = {False: [], True: []}
    for rung in ladder:
        names = expected[rung.after_recovery]
        names += [] if rung.risk is Risk.SAFE else [f"ask_before_{rung.id}"]
        names.append(rung.id.value)
    mitigate = [f"mitigate.{name}" for name in expected[False]]
    row = ["diagnose.collect_evidence", *mitigate, "recover.wait_until_healthy"]
    assert in_a_row(dag, "diagnose.collect_evidence") == row
    healthy = [f"recover.{name}" for name in expected[True]]
    behind = [*healthy, "recover.repair_data", "document.post_incident_review"]
    assert in_a_row(dag, behind[0]) == behind
    wait = dag.get_task("recover.wait_until_healthy")
    assert wait.downstream_task_ids == {behind[0], "recover.repair_data", "document.escalate_to_people"}
    assert wait.rung_tasks == [task for task in mitigate if ".ask_before" not in task]
    assert {t.task_id for t in dag.tasks} == {*row, *behind, "document.escalate_to_people"}
    for task in dag.tasks:
        if isinstance(task, ApprovalOperator):
            assert task.defaults == [ApprovalOperator.REJECT], "no answer must be a no"
            assert task.response_timeout.total_seconds() <= 3600
    assert dag.doc_md == remediation_doc(scenario)
    assert dag.schedule is None


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_dag_file_only_wires(path: Path) -> None:
    """At the top level: imports, one decorated function, one call."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Constant)
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef) or is_call, ast.unparse(node)
    imported = {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
    heavy = ("confluent_kafka", "mysql", "pyspark", "requests", "sqlalchemy", "airflow.providers")
    assert not [m for m in imported if m.startswith(heavy)]
    assert len(path.read_text().splitlines()) < 80


_PARSE = """
    import json, runpy, sys, time
    import airflow.sdk, pendulum, pydantic_settings
    before = set(sys.modules)
    from playbook_airflow import dependencies, health_workflow, incident_docs, reconcile_workflow, remediation_workflow
    from playbook_airflow import repair_form, review_workflow, supervise, supervision_doc, tags  # all for Dag files
    loaded = sorted({m.split(".")[0] for m in set(sys.modules) - before})

    def guard(event, arguments):
        forbidden = event in ("socket.connect", "subprocess.Popen", "sqlite3.connect", "os.system", "time.sleep")
        if event == "open":
            name, mode = str(arguments[0]), str(arguments[1] or "")
            data = "/include/playbook/" in name  # what the page of a health Dag is made of
            forbidden = "w" in mode or "a" in mode or not (data or name.endswith((".py", ".pyc", ".so")))
        if forbidden:
            raise RuntimeError(f"top-level I/O: {event} {arguments}")

    sys.addaudithook(guard)
    seconds, errors = {}, {}
    for path in sys.argv[1:]:
        begin = time.perf_counter()
        try:
            runpy.run_path(path)
        except Exception as error:
            errors[path] = repr(error)
        seconds[path] = time.perf_counter() - begin
    print(json.dumps({"loaded": loaded, "errors": errors, "seconds": seconds}))
"""


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    """All Dag files parsed in a fresh interpreter that refuses sockets, subprocesses and files other than code."""
    folders = os.pathsep.join([str(DAGS.parent), str(DAGS.parent / "plugins")])
    environment = {**os.environ, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", textwrap.dedent(_PARSE), *map(str, FILES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    return json.loads(done.stdout.splitlines()[-1])


def test_parsing_does_no_input_or_output(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}


def test_parsing_is_quick(parsed: dict[str, Any]) -> None:
    assert set(parsed["seconds"]) == set(map(str, FILES))
    assert max(parsed["seconds"].values()) < PARSE_SECONDS


def test_importing_the_dag_side_of_the_plugins_pulls_in_nothing_heavy(parsed: dict[str, Any]) -> None:
    heavy = {"confluent_kafka", "mysql", "fastapi", "httpx", "supervisor", "pyspark"}
    assert not heavy & set(parsed["loaded"])


def test_the_plugin_loader_sees_the_entry_module_only() -> None:
    from airflow._shared.module_loading.file_discovery import find_path_from_directory

    seen = {
        Path(p).relative_to(DAGS.parent / "plugins")
        for p in find_path_from_directory(DAGS.parent / "plugins", ".airflowignore")
    }
    assert {p for p in seen if p.suffix == ".py"} == {Path("pipeline_plugin.py")}
