"""Who is responsible for what: the stories that the cause graph must tell."""

from __future__ import annotations

import itertools

import pytest

from include.playbook.names import Cause, Component, Symptom
from include.playbook.playbook import get_playbook

C, K, Y = Component, Cause, Symptom
YES, NO = True, False

STORIES = [
    # root, its cause → where something is seen, as what: is the root responsible?
    ("Kafka down: the producer cannot publish", (C.KAFKA, K.PROCESS_GONE, C.PRODUCER, Y.KAFKA_TRANSPORT), YES),
    ("Kafka down: no new messages", (C.KAFKA, K.PROCESS_GONE, C.PRODUCER, Y.NO_NEW_MESSAGES), YES),
    ("Kafka down: Spark's Kafka exception", (C.KAFKA, K.PROCESS_GONE, C.PROCESSOR, Y.KAFKA_TRANSPORT), YES),
    ("Kafka down: Spark makes no progress", (C.KAFKA, K.PROCESS_GONE, C.PROCESSOR, Y.NO_PROGRESS), YES),
    ("Kafka hangs: Spark's batch hangs", (C.KAFKA, K.PROCESS_HUNG, C.PROCESSOR, Y.BATCH_HUNG), YES),
    ("Kafka down: lag grows", (C.KAFKA, K.PROCESS_GONE, C.LAG, Y.LAG_GROWS), YES),
    ("Kafka down: the lag cannot be seen", (C.KAFKA, K.PROCESS_GONE, C.LAG, Y.NOT_OBSERVABLE), YES),
    ("Kafka down: rows get old", (C.KAFKA, K.PROCESS_GONE, C.MYSQL, Y.STALE_ROWS), YES),
    ("Kafka down: MySQL refuses the login (1045)", (C.KAFKA, K.PROCESS_GONE, C.MYSQL, Y.MYSQL_CREDENTIALS), NO),
    ("Kafka down: the job meets 1045", (C.KAFKA, K.PROCESS_GONE, C.PROCESSOR, Y.MYSQL_CREDENTIALS), NO),
    ("Kafka down: the exchange says 429", (C.KAFKA, K.PROCESS_GONE, C.PRODUCER, Y.RATE_LIMITED), NO),
    ("Kafka down: an id gap", (C.KAFKA, K.PROCESS_GONE, C.PRODUCER, Y.ID_GAP), NO),
    ("Kafka down: the exchange does not answer", (C.KAFKA, K.PROCESS_GONE, C.PRODUCER, Y.EXCHANGE_UNREACHABLE), NO),
    ("Kafka down: somebody kills the Spark job", (C.KAFKA, K.PROCESS_GONE, C.PROCESSOR, Y.PROCESS_GONE), NO),
    ("Kafka down: the database is gone too", (C.KAFKA, K.PROCESS_GONE, C.MYSQL, Y.MYSQL_CONNECTIVITY), NO),
    ("Kafka down: rows are missing", (C.KAFKA, K.PROCESS_GONE, C.MYSQL, Y.ROWS_MISSING), NO),
    ("Kafka down: its answer is no", (C.KAFKA, K.PROCESS_GONE, C.PRODUCER, Y.KAFKA_REFUSES), NO),
    ("topic gone: records are refused", (C.KAFKA, K.TOPIC_MISSING, C.PRODUCER, Y.KAFKA_REFUSES), YES),
    ("no commits: the lag grows, on paper", (C.KAFKA, K.COORDINATOR, C.LAG, Y.LAG_GROWS), YES),
    ("no commits: the producer is silent", (C.KAFKA, K.COORDINATOR, C.PRODUCER, Y.NO_NEW_MESSAGES), NO),
    ("no commits: rows get old", (C.KAFKA, K.COORDINATOR, C.MYSQL, Y.STALE_ROWS), NO),
    ("MySQL down: the job cannot connect", (C.MYSQL, K.PROCESS_GONE, C.PROCESSOR, Y.MYSQL_CONNECTIVITY), YES),
    ("MySQL down: the batch hangs", (C.MYSQL, K.PROCESS_GONE, C.PROCESSOR, Y.BATCH_HUNG), YES),
    ("MySQL down: lag grows, through the job", (C.MYSQL, K.PROCESS_GONE, C.LAG, Y.LAG_GROWS), YES),
    ("MySQL down: the job meets 1045", (C.MYSQL, K.PROCESS_GONE, C.PROCESSOR, Y.MYSQL_CREDENTIALS), NO),
    ("password changed: the job meets 1045", (C.MYSQL, K.CREDENTIALS, C.PROCESSOR, Y.MYSQL_CREDENTIALS), YES),
    ("password changed: lag grows", (C.MYSQL, K.CREDENTIALS, C.LAG, Y.LAG_GROWS), YES),
    ("column dropped: the job meets 1054", (C.MYSQL, K.SCHEMA_MISMATCH, C.PROCESSOR, Y.MYSQL_SCHEMA), YES),
    ("column dropped: the job cannot connect", (C.MYSQL, K.SCHEMA_MISMATCH, C.PROCESSOR, Y.MYSQL_CONNECTIVITY), NO),
    ("disk full: the job meets 1021", (C.MYSQL, K.DISK_FULL, C.PROCESSOR, Y.MYSQL_DISK_FULL), YES),
    ("locks: a statement waits longer than its deadline", (C.MYSQL, K.LOCKS, C.PROCESSOR, Y.MYSQL_CONNECTIVITY), YES),
    ("locks: batches are slow", (C.MYSQL, K.LOCKS, C.PROCESSOR, Y.BATCH_SLOW), YES),
    ("MySQL down: Spark's Kafka exception", (C.MYSQL, K.PROCESS_GONE, C.PROCESSOR, Y.KAFKA_TRANSPORT), NO),
    ("MySQL down: the producer is silent", (C.MYSQL, K.PROCESS_GONE, C.PRODUCER, Y.NO_NEW_MESSAGES), NO),
    ("rows old, nobody knows why: the job stands", (C.MYSQL, K.UNKNOWN, C.PROCESSOR, Y.NO_PROGRESS), NO),
    ("Spark gone: rows get old", (C.PROCESSOR, K.PROCESS_GONE, C.MYSQL, Y.STALE_ROWS), YES),
    ("Spark gone: lag grows", (C.PROCESSOR, K.PROCESS_GONE, C.LAG, Y.LAG_GROWS), YES),
    ("Spark gone: the database is gone too", (C.PROCESSOR, K.PROCESS_GONE, C.MYSQL, Y.MYSQL_CONNECTIVITY), NO),
    ("Spark gone: Kafka is gone too", (C.PROCESSOR, K.PROCESS_GONE, C.KAFKA, Y.KAFKA_TRANSPORT), NO),
    ("producer gone: rows get old", (C.PRODUCER, K.PROCESS_GONE, C.MYSQL, Y.STALE_ROWS), YES),
    ("producer gone: lag grows (nothing comes in)", (C.PRODUCER, K.PROCESS_GONE, C.LAG, Y.LAG_GROWS), NO),
    ("exchange away: nothing received", (C.EXCHANGE, K.EXCHANGE_OUTAGE, C.PRODUCER, Y.EXCHANGE_UNREACHABLE), YES),
    ("exchange away: rows get old", (C.EXCHANGE, K.EXCHANGE_OUTAGE, C.MYSQL, Y.STALE_ROWS), YES),
    ("exchange away: the producer's process is gone", (C.EXCHANGE, K.EXCHANGE_OUTAGE, C.PRODUCER, Y.PROCESS_GONE), NO),
    ("exchange away: Kafka is gone too", (C.EXCHANGE, K.EXCHANGE_OUTAGE, C.PRODUCER, Y.KAFKA_TRANSPORT), NO),
    ("host's disk full: MySQL says so", (C.HOST, K.DISK_FULL, C.MYSQL, Y.MYSQL_DISK_FULL), YES),
    ("host's disk full: the job says so, through MySQL", (C.HOST, K.DISK_FULL, C.PROCESSOR, Y.MYSQL_DISK_FULL), YES),
    ("host's disk full: lag grows, through MySQL and the job", (C.HOST, K.DISK_FULL, C.LAG, Y.LAG_GROWS), YES),
    ("host's disk full: MySQL refuses the login", (C.HOST, K.DISK_FULL, C.MYSQL, Y.MYSQL_CREDENTIALS), NO),
    ("lag grows: and the job is gone", (C.LAG, K.SPARK_CAPACITY, C.PROCESSOR, Y.PROCESS_GONE), NO),
    ("the observer is blind: rows get old", (C.MONITORING, K.MONITORING_BLIND, C.MYSQL, Y.STALE_ROWS), NO),
]


@pytest.mark.parametrize(("story", "question", "responsible"), STORIES, ids=[story for story, *_ in STORIES])
def test_who_is_responsible(
    story: str, question: tuple[Component, Cause, Component, Symptom], responsible: bool
) -> None:
    assert get_playbook().graph.explains(*question) is responsible, story


def test_a_way_gives_its_reasons_from_the_root_to_the_symptom() -> None:
    way = get_playbook().graph.way(C.MYSQL, K.PROCESS_GONE, C.LAG, Y.LAG_GROWS)
    assert [(edge.source, edge.effect) for edge in way] == [(C.MYSQL, C.PROCESSOR), (C.PROCESSOR, C.LAG)]
    assert [edge.because for edge in way] == [
        "a micro-batch ends with the transaction that writes its rows",
        "what the job does not read waits in the topic",
    ]


@pytest.mark.parametrize(
    ("component", "ancestors"),
    [
        (C.HOST, set()),
        (C.KAFKA, {C.HOST}),
        (C.PRODUCER, {C.HOST, C.EXCHANGE, C.KAFKA}),
        (C.PROCESSOR, {C.HOST, C.EXCHANGE, C.KAFKA, C.PRODUCER, C.MYSQL}),
        (C.MYSQL, {C.HOST, C.EXCHANGE, C.KAFKA, C.PRODUCER, C.PROCESSOR}),  # of the rows that are reported of it
        (C.LAG, {C.HOST, C.EXCHANGE, C.KAFKA, C.PRODUCER, C.MYSQL, C.PROCESSOR}),
        (C.MONITORING, set()),
    ],
)
def test_ancestors(component: Component, ancestors: set[Component]) -> None:
    assert get_playbook().graph.ancestors(component) == ancestors


def causes_that_differ() -> list[Cause]:
    """Those that an edge names, and one that stands for all others."""
    edges = get_playbook().graph.edges
    named = frozenset().union(*(edge.only_causes | edge.except_causes for edge in edges))
    return [*sorted(named), next(cause for cause in Cause if cause not in named)]


def test_whoever_explains_a_symptom_is_among_the_ancestors() -> None:
    graph = get_playbook().graph
    for root, cause, effect, symptom in itertools.product(Component, causes_that_differ(), Component, Symptom):
        if graph.explains(root, cause, effect, symptom):
            assert root in graph.ancestors(effect), (root, effect, symptom)


def test_nothing_explains_itself() -> None:
    graph = get_playbook().graph
    every = itertools.product(Component, causes_that_differ(), Symptom)
    assert not any(graph.explains(each, cause, each, symptom) for each, cause, symptom in every)


def test_two_faults_never_explain_each_other_unless_a_cause_of_the_database_is_known() -> None:
    """Otherwise each would be attached to the other, and there would be no incident at all."""
    graph = get_playbook().graph
    mutual = {
        (a, b)
        for a, b in itertools.combinations(Component, 2)
        if any(graph.explains(a, c, b, s) for c in causes_that_differ() for s in Symptom)
        and any(graph.explains(b, c, a, s) for c in causes_that_differ() for s in Symptom)
    }
    assert mutual == {(C.PROCESSOR, C.MYSQL)}
    explained = {s for s in Symptom if graph.explains(C.PROCESSOR, K.PROCESS_GONE, C.MYSQL, s)}
    assert explained == {Y.STALE_ROWS}  # reported while the server itself is well; then its cause is not known …
    assert not any(graph.explains(C.MYSQL, K.UNKNOWN, C.PROCESSOR, s) for s in Symptom)  # … and it explains nothing


def test_what_no_fault_is_to_blame_for_is_never_explained() -> None:
    graph = get_playbook().graph
    for symptom in (Y.ID_GAP, Y.ROWS_MISSING, Y.RATE_LIMITED, Y.BAD_FRAMES):
        every = itertools.product(Component, causes_that_differ(), Component)
        assert not any(graph.explains(root, cause, effect, symptom) for root, cause, effect in every), symptom
