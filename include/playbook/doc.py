"""What a person reads on the pages of Dags: short, and made from the same data that is judged and acted by."""

from __future__ import annotations

from include.playbook.names import ScenarioId
from include.playbook.playbook import get_playbook


def dag_doc(scenario: ScenarioId) -> str:
    """Markdown for ``doc_md`` of the scenario's health Dag."""
    from include.playbook.render import dag_page

    playbook = get_playbook()
    return dag_page(playbook, playbook.scenarios[ScenarioId(scenario)])


def remediation_doc(scenario: ScenarioId) -> str:
    """Markdown for ``doc_md`` of the scenario's remediation Dag: its steps, its form, its limits, and by hand."""
    from include.playbook.render import remediation_page

    playbook = get_playbook()
    return remediation_page(playbook, playbook.scenarios[ScenarioId(scenario)])
