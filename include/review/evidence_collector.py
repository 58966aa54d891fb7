"""Collects evidence before anything is touched: whatever is restarted afterwards, this is how it was found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from include.health.observations import Probe as ProbeName
from include.incidents.model import Incident
from include.incidents.store import IncidentStore
from include.playbook.playbook import get_playbook
from include.playbook.scenario import EvidenceSet
from include.review.errors import ReviewError
from include.review.evidence import Manifest
from include.review.evidence_blocks import write_block
from include.review.evidence_endpoints import endpoint_sources
from include.review.evidence_logs import log_sources
from include.review.evidence_mysql import mysql_source
from include.review.evidence_probes import Probes, offsets_source, probe_source
from include.review.evidence_processes import machine_sources
from include.review.evidence_program import program_sources
from include.review.evidence_redaction import redactor_of
from include.review.evidence_source import Source, gather
from include.review.evidence_store import claim, evidence_folder, read_manifest, write_manifest
from include.review.evidence_timeline import Timeline
from include.runtime.logging import get_logger
from include.services.controller import ServiceController
from include.services.factory import controller_from_settings
from include.settings import Settings

DEADLINE_SECONDS = 3.0  # for a source, all at once
_STORE_SECONDS = 0.8
# They have blocks of their own, which say more.
_SAID_ELSEWHERE = frozenset(
    {ProbeName.PROCESSES, ProbeName.HOST, ProbeName.PROCESSOR, ProbeName.OFFSETS, ProbeName.LOGS, ProbeName.EXCHANGE}
)

_log = get_logger("review.evidence")


def collect_evidence(
    settings: Settings,
    incident: Incident,
    number: int | None = None,
    *,
    store: IncidentStore | None = None,
    controller: ServiceController | None = None,
    sources: Sequence[Source] | None = None,
    deadline: float = DEADLINE_SECONDS,
) -> Manifest:
    """Collect what the scenario's playbook names, and what every incident wants; within about four seconds, whatever
    hangs. A source that is missing is a block that is "not available", never an exception.

    ``number``: of the collection; one that is finished is returned as it is, since later evidence shows what a remedy
    has done already. ``None``: the next free number. The timeline is told (``store``, or that of the settings); if
    that was not possible, ``facts`` of what is returned say so under ``timeline``. ``sources`` replaces all of them.
    Raises ``OSError`` if nothing can be written.
    """
    timeline = Timeline(settings, store)
    manifest = _finished(settings, incident, number)
    if manifest is None:
        probes = Probes(settings, controller or controller_from_settings(settings))
        try:
            chosen = sources_for(settings, incident, controller, probes) if sources is None else sources
            manifest = _collect(settings, incident, claim(settings, incident.id, number), chosen, deadline)
        finally:
            probes.close()
    if why := timeline.tell(manifest, _STORE_SECONDS):
        _log.warning("evidence is not in the timeline", incident=incident.id, number=manifest.number, why=why)
        return replace(manifest, facts={**manifest.facts, "timeline": f"not told: {why}"})
    return manifest


def sources_for(
    settings: Settings, incident: Incident, controller: ServiceController | None, probes: Probes
) -> tuple[Source, ...]:
    """The scenario's own evidence, then what every incident wants."""
    wanted: EvidenceSet = get_playbook().scenarios[incident.scenario].evidence
    host = controller or controller_from_settings(settings)
    names = [name for name in map(ProbeName, wanted.probes) if name not in _SAID_ELSEWHERE]
    return (
        *machine_sources(settings, host, probes),
        *log_sources(settings, wanted.logs, wanted.log_lines, host),
        *(probe_source(probes, name) for name in (*names, ProbeName.EXCHANGE)),
        *((offsets_source(probes),) if wanted.offsets else ()),
        *endpoint_sources(settings),
        mysql_source(settings),
        *program_sources(settings),
    )


def _finished(settings: Settings, incident: Incident, number: int | None) -> Manifest | None:
    if number is None:
        return None
    try:
        return read_manifest(settings, incident.id, number)
    except ReviewError:  # not begun, or cut short: it is done anew
        return None


def _collect(
    settings: Settings, incident: Incident, number: int, sources: Sequence[Source], deadline: float
) -> Manifest:
    began, started = datetime.now(UTC), time.monotonic()
    redactor = redactor_of(settings)
    gathered = gather(sources, deadline)
    folder = evidence_folder(settings, incident.id) / str(number)
    blocks = tuple(write_block(folder, each, redactor) for each in gathered)
    facts = {
        "scenario": incident.scenario.value,
        "target": incident.target.value,
        "cause": incident.cause.value,
        "state": incident.state.value,
        "of_blocks": {each.source.name: each.found.facts for each in gathered if each.found.facts},
    }
    seconds = round(time.monotonic() - started, 3)
    manifest = Manifest(incident.id, number, f"{incident.id}/{number}", began, seconds, blocks, facts=facts)
    return write_manifest(settings, manifest)
