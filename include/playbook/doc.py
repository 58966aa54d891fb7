"""What a person reads on the page of a health Dag: short, and made from the same data that the rules judge by."""

from __future__ import annotations

from include.playbook.names import ScenarioId
from include.playbook.playbook import get_playbook


def dag_doc(scenario: ScenarioId) -> str:
    """Markdown for ``doc_md``."""
    from include.playbook.render import dag_page

    playbook = get_playbook()
    return dag_page(playbook, playbook.scenarios[ScenarioId(scenario)])
