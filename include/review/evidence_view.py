"""Evidence on a terminal: what was collected, what mattered in it, and whether it is still what it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from include.incidents.errors import IncidentStoreError
from include.incidents.store import IncidentStore
from include.review.evidence import Manifest
from include.review.evidence_store import verify
from include.review.evidence_timeline import recorded
from include.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """One collection after :func:`check`. ``changed``: names of blocks that are not what they were."""

    manifest: Manifest
    changed: tuple[str, ...]
    problem: str = ""  # with the hash in the timeline


def check(settings: Settings, store: IncidentStore, manifest: Manifest) -> Checked:
    """Every file against the manifest, and the manifest against the incident's timeline, which nobody can edit."""
    changed = verify(settings, manifest)
    try:
        told = recorded(store, manifest.incident_id).get(manifest.number)
    except IncidentStoreError as error:
        return Checked(manifest, changed, f"the timeline cannot be read: {error}")
    if told is None:
        return Checked(manifest, changed, "the timeline knows nothing of it")
    return Checked(
        manifest, changed, "" if told == manifest.sha256 else "the timeline has another hash of the manifest"
    )


def page(settings: Settings, manifest: Manifest) -> Iterator[RenderableType]:
    """One collection: where it lies, and a row for each block."""
    folder = settings.data_dir / "evidence" / manifest.folder
    yield f"[bold]Evidence {manifest.number}[/] of {manifest.incident_id}, {manifest.began_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{escape(str(folder))}  sha256 {manifest.sha256}"
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("block", "bytes", "what it says"):
        table.add_column(column, justify="right" if column == "bytes" else "left")
    for block in manifest.blocks:
        lines = [escape(line) for line in block.highlights]
        if block.note:
            lines.insert(
                0, escape(block.note) if block.available else f"[yellow]not available:[/] {escape(block.note)}"
            )
        table.add_row(block.name, str(block.bytes), "\n".join(lines))
    yield table


def verdict(checked: Checked) -> str:
    """One line."""
    name = f"evidence {checked.manifest.number}"
    if checked.changed:
        return f"[red]✗[/] {name}: missing or changed: {escape(', '.join(checked.changed))}"
    if checked.problem:
        return f"[red]✗[/] {name}: {escape(checked.problem)}"
    return f"{name}  [green]OK[/]: {len(checked.manifest.blocks)} blocks are what they were"
