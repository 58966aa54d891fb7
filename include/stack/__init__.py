"""The local stack: artifacts, launchers, and the up, down, status, logs and clean commands."""
