"""What a person reads on the pages of the incident Dags."""
# ruff: noqa: E501 - a row of a Markdown table is one line

from __future__ import annotations

REVIEW_DOC = """\
### Post-incident review

Runs by itself when an incident of SEV-1, SEV-2 or SEV-3 is resolved, or by hand with the incident's id.

1. **draft_review** makes sure that the data are repaired, then writes the review from the record: what happened when, what was
   measured, what was done and what it changed. Each fact names its evidence. What the record does not know stays open and says so.
2. **read_and_approve** waits for you: *Required Actions* in the menu, or the tab of this run. Read the text, fill in what only a
   person can know, and choose **Approve** or **Send back**.
3. **conclude** publishes an approved review as Markdown and HTML under `var/reports` and closes the incident. One that was sent
   back is drafted again with your comment on top, and nothing that you wrote is lost.

| Field | What belongs there |
|---|---|
| Root cause | what the evidence does not say; facts, no blame |
| Preventive actions | one a line: `what | owner | due as YYYY-MM-DD`; at least one for SEV-1 and SEV-2 |
| Lessons | what worked, what failed, where you were lucky |
| Runbook updates | what the playbook should say from now on |
| Comment | for a review that you send back |

A SEV-1 or SEV-2 incident does not close before its review is approved. Approving with a field missing loses nothing: the review
comes back and says what is missing.
"""

RECONCILE_DOC = """\
### Reconciler

Compares, every five seconds and from the triggerer (no worker slot), what the incident store says with what lives. A run of this
Dag ends as soon as there is work, or quietly after ten minutes; the next one begins at once.

| What it finds | What it does |
|---|---|
| an action whose process died in the middle | records it as abandoned, gives its locks back, starts every process that it left stopped |
| an incident that was handed over and whose remediation never began | starts it, under the name that it was given |
| a remediation that ended without a word | starts it once more; the second time it hands the incident to people |
| an incident that is over, and no run drafts its review or waits for your answer | starts `post_incident_review`: nothing that was written is lost |
| three such runs that ended without an answer | writes into the timeline that a person must start it |
| a review that was approved and is not published after half a minute | publishes it and closes its incident; if the files cannot be written, again every ten minutes |

It never judges whether something is broken (the health Dags do), and never does a remedy itself. When nobody can tell what became
of a run, it waits. Switching this Dag off is safe: everything is found when it is switched on again.
"""

REPAIR_DOC = """\
### Repair of the data

Makes the tables of a time range what they would have been without any fault, and proves it. A remediation does so by itself; run
it by hand for any other time, as often as you like: a second repair finds nothing to do.

1. **find_gaps** asks the exchange which trade ids there are, and compares them with those that are counted (`trade_coverage`).
2. **repair** fetches what is missing by id, publishes it to `crypto-trades`, waits until it is counted, computes windows that are
   still wrong anew with a Spark batch job, and compares every window with the exchange's ledger. The run is red if one differs.

| Field | Meaning |
|---|---|
| From, To | event time, UTC; whole minutes are looked at |
| Symbols | comma-separated; empty means all |
| Check only | compare, and change nothing |
| Incident | puts the result into that incident's timeline |

Trades that the exchange gives no more are counted and named, never passed over. The weight of the exchange's interface is heeded:
a day takes minutes, and the log says how far it is.
"""
