"""Probes: each does one real operation against one target, and says what it saw without judging it."""
