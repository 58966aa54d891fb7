"""The open incidents as ``make status`` shows them."""

from __future__ import annotations

from contextlib import closing

from rich.text import Text

from include.incidents.errors import StoreUnavailableError
from include.incidents.factory import store_from_settings
from include.incidents.model import Incident
from include.playbook_command.incident_view import SEVERITY_COLOURS
from include.settings import Settings


def incident_lines(settings: Settings) -> list[Text]:
    """One line for each open incident, the worst first; one line that says so when there is none."""
    try:
        with closing(store_from_settings(settings)) as store:
            incidents = store.open_incidents()
    except StoreUnavailableError as error:
        return [Text(f"Incidents: not known ({error})", style="red")]
    if not incidents:
        return [Text("Incidents: none open", style="green")]
    return [_line(incident) for incident in sorted(incidents, key=lambda i: (i.severity, i.opened_at))]


def _line(incident: Incident) -> Text:
    about = (incident.id, incident.severity.label, incident.scenario, incident.state)
    text = f"{'  '.join(about)}  since {incident.onset_at:%H:%M:%S} UTC: {incident.summary}"
    return Text(text, style=SEVERITY_COLOURS[incident.severity])
