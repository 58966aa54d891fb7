"""The form that a person fills in: read, checked, and told what is wrong with it, all at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

from include.incidents.entry_data import clean_text
from include.playbook.names import Severity
from include.review.document import ActionItem
from include.review.errors import ReviewError
from include.review.model import Form

ACTION_FORM = "what | owner | due YYYY-MM-DD"
FIELDS = ("root_cause", "lessons", "preventive_actions", "runbook_updates")
COMMENT = "comment"  # stands in the same form, and is said beside the answer
MOST_CHARACTERS, MOST_ACTIONS = 4000, 30
NEED_ANSWERS = frozenset({Severity.SEV_1, Severity.SEV_2})

_DUE = re.compile(r"(?:due\b\s*:?\s*)?(\d{4}-\d{2}-\d{2})", re.IGNORECASE)
_NOBODY = frozenset({"?", "-", "n/a", "none", "nobody", "tba", "tbd", "unknown"})


def form_texts(form: Mapping[str, object]) -> dict[str, str]:
    """The fields as they were typed. Raises :class:`ReviewError` for a field that is not of the form, or no text."""
    if unknown := sorted(str(name) for name in form if name not in (*FIELDS, COMMENT)):
        raise ReviewError(f"The form has no field {', '.join(unknown)}. Its fields: {', '.join((*FIELDS, COMMENT))}.")
    texts = {}
    for name in FIELDS:
        value = form.get(name) or ""
        if not isinstance(value, str):
            raise ReviewError(f"{_title(name)}: a text is expected, not {type(value).__name__}.")
        texts[name] = clean_text(value).replace("\r\n", "\n").strip()
    return texts


def parse_form(form: Mapping[str, object], severity: Severity, today: date) -> Form:
    """What the person says. SEV-1 and SEV-2 need a root cause and at least one preventive action.

    Raises :class:`ReviewError`, whose text names everything that is missing or wrong, one line each.
    """
    texts = form_texts(form)
    wrong = [
        f"{_title(name)}: at most {MOST_CHARACTERS} characters, not {len(text)}."
        for name, text in texts.items()
        if len(text) > MOST_CHARACTERS
    ]
    actions, flaws = parse_actions(texts["preventive_actions"], today)
    wrong += flaws
    if severity in NEED_ANSWERS:
        if not texts["root_cause"]:
            wrong.append(f"{_title('root_cause')}: it is empty; a {severity.label} review names it.")
        if not actions and not flaws:
            wrong.append(f"{_title('preventive_actions')}: at least one for {severity.label}, as {ACTION_FORM}.")
    if wrong:
        raise ReviewError("The review cannot be approved yet.\n" + "\n".join(wrong))
    return Form(texts["root_cause"], texts["lessons"], texts["runbook_updates"], actions)


def parse_actions(text: str, today: date) -> tuple[tuple[ActionItem, ...], list[str]]:
    """One action a line, and what is wrong with the others. Empty lines and bullets do not matter."""
    items: list[ActionItem] = []
    wrong: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        found = _action(line.strip().removeprefix("- ").removeprefix("* "), today)
        if isinstance(found, str):
            wrong.append(f"{_title('preventive_actions')}, line {number}: {found}")
        else:
            items.append(found)
    if len(items) > MOST_ACTIONS:
        wrong.append(f"{_title('preventive_actions')}: at most {MOST_ACTIONS}, not {len(items)}.")
    return tuple(items), wrong


def actions_text(items: Iterable[ActionItem]) -> str:
    """The actions as one types them."""
    return "\n".join(f"{item.what} | {item.owner} | due {item.due}" for item in items)


def _action(line: str, today: date) -> ActionItem | str:
    """The action, or what is wrong with the line. The text of an action may have a stroke in it."""
    parts = [part.strip() for part in line.rsplit("|", 2)]
    if len(parts) != 3:
        return f"it is to be {ACTION_FORM}; received {_shown(line)}."
    what, owner, due = parts
    if not what:
        return "what is to be done is missing."
    if not owner or owner.lower() in _NOBODY:
        return f"an owner is missing; received {_shown(owner)}."
    return _due(what, owner, due, today)


def _due(what: str, owner: str, text: str, today: date) -> ActionItem | str:
    match = _DUE.fullmatch(text)
    try:
        due = date.fromisoformat(match[1]) if match else None
    except ValueError:
        due = None
    if due is None:
        return f"a due date is missing, as YYYY-MM-DD; received {_shown(text)}."
    if due < today:
        return f"its due date {due} is over already (today is {today})."
    return ActionItem(what=what, owner=owner, due=due.isoformat())


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")
