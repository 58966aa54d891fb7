"""The remedies of a scenario as data: its ladder of rungs, in the playbook's order, and what is left to people.

Design §1 (immediate actions are the contract) and §5 (each rung with precondition, timeout, verify, rollback).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from include.playbook.names import Cause, Component
from include.playbook.record import BrokenRule, Record, Text

LONGEST_SECONDS = 600.0  # of a rung, with its proof: a person who waits for more has long begun by hand


class RungId(StrEnum):
    """Every remedy that there is. A rung with the same name in two ladders is the same work."""

    # --- kafka_down
    RESTART_KAFKA = "restart_kafka"
    MOVE_KAFKA_LOG_ASIDE = "move_kafka_log_aside"  # kept, never deleted; the data comes back by repair
    VALIDATE_TOPICS = "validate_topics"  # and recreate what is absent
    RESTART_PRODUCER = "restart_producer"
    RESTART_PROCESSOR = "restart_stream_processor"
    # --- stream_processor_failure
    VALIDATE_KAFKA = "validate_kafka"
    VALIDATE_MYSQL = "validate_mysql"
    DEAD_LETTER_POISON = "dead_letter_poison_rows"
    REBUILD_FROM_KAFKA = "rebuild_from_kafka"  # the checkpoint is moved aside, nothing is counted twice
    # --- mysql_not_writing
    RESTART_MYSQL = "restart_mysql"
    VALIDATE_CREDENTIALS = "validate_credentials"
    VALIDATE_SCHEMA = "validate_schema"  # and apply migrations that are missing
    REPAIR_WINDOWS = "repair_windows"  # that lost rows although nothing failed
    # --- producer_silent
    RECONNECT_FEED = "reconnect_feed"
    SWITCH_ENDPOINT = "switch_endpoint"
    VALIDATE_EXCHANGE = "validate_exchange"
    # --- kafka_lag
    RAISE_INTERVAL = "raise_micro_batch_interval"
    REDUCE_FREQUENCY = "reduce_producer_frequency"
    PUT_BACK = "put_settings_back"
    SUGGEST_CAPACITY = "suggest_capacity"


class Risk(StrEnum):
    """Who must agree."""

    SAFE = "safe"  # nobody
    RISKY = "risky"  # a person; whoever triggers by hand may take that on themselves
    DESTRUCTIVE = "destructive"  # a person who is not the one that asked for it


class Rung(Record):
    """One remedy of a ladder.

    ``action``: what it is called; ``playbook_words``: the playbook's immediate action that it is, or is a part of, if
    the playbook names it; ``runs``: what exactly is done; ``by_hand``: the command of a person who does it.
    ``target``: whose cooldown, budget and lock it counts against. ``needed_when``, ``verified_by``, ``rollback``: the
    precondition, the proof and the way back, in words (``rollback`` is empty where there is nothing to undo).
    ``timeout_seconds`` bounds the work, ``verify_seconds`` the wait for the proof. ``cooldown_seconds`` is the least
    time between two of its kind on the target, ``hourly_budget`` the most within an hour.
    """

    id: RungId
    action: Text
    playbook_words: Text | None = None
    runs: Text
    by_hand: Text
    target: Component
    risk: Risk = Risk.SAFE
    needed_when: Text
    timeout_seconds: float = Field(gt=0, le=600)
    verified_by: Text
    verify_seconds: float = Field(gt=0, le=600)
    rollback: str = ""
    cooldown_seconds: float = Field(ge=0, le=86_400)
    hourly_budget: int = Field(ge=1, le=60)
    after_recovery: bool = False  # runs when the scenario is healthy again: it puts things back
    only_looks: bool = False  # changes nothing, so no guardrail counts it

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.risk is not Risk.SAFE and not self.rollback.strip():
            raise BrokenRule("rollback", f"nothing, for a {self.risk} rung", "words for the way back")
        if self.only_looks and self.risk is not Risk.SAFE:
            raise BrokenRule("risk", self.risk, f"{Risk.SAFE}, as it only looks")
        if (seconds := self.timeout_seconds + self.verify_seconds) > LONGEST_SECONDS:
            rule = f"at most {LONGEST_SECONDS:g} s together with timeout_seconds"
            raise BrokenRule("verify_seconds", f"{seconds:g} s for work and proof", rule)
        return self


class ByPeople(Record):
    """A cause that no machine may touch: it is named, with the facts that decide it, and handed to people."""

    cause: Cause
    because: Text
    tell: Text  # which facts the person must be given
