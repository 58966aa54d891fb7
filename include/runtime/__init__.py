"""What every long-running process shares: logs, clock, health endpoint, single-instance lock."""
