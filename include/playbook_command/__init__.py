"""The command line over the playbook and its incidents; the one place that shows both."""
