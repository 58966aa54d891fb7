"""Owning processes: the ServiceController port, its adapters, and the supervision rules."""
