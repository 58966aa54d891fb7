"""Incidents: their store and timeline, which of several faults is the root, and what is kept of each decision."""
