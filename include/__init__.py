"""The product as plain Python: importable without Airflow, one room per folder (see docs/architecture.md)."""
