"""The remediation that the settings ask for."""

from __future__ import annotations

from contextlib import ExitStack

from include.guardrails.factory import guardrails_from_settings
from include.incidents.factory import store_from_settings
from include.playbook.playbook import get_playbook
from include.remediation.looks import Looks
from include.remediation.runner import Remediation
from include.remediation.tools import Tools
from include.runtime.temporary_settings import TemporarySettings
from include.services.factory import controller_from_settings
from include.settings import Settings


def remediation_from_settings(settings: Settings) -> Remediation:
    """Nothing is connected before it is used. ``close()`` it at the end."""
    controller, owned = controller_from_settings(settings), ExitStack()
    store, guardrails = store_from_settings(settings), guardrails_from_settings(settings)
    looks = Looks(settings, controller)
    for each in (store, guardrails, looks):
        owned.callback(each.close)
    tools = Tools(
        settings=settings,
        controller=controller,
        store=store,
        guardrails=guardrails,
        temporary=TemporarySettings(settings.run_dir),
        look=looks,
        scenario=get_playbook().scenarios.__getitem__,
    )
    return Remediation(tools, owned)
