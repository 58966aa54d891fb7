"""Remedies: what each rung of the playbook's ladders does, and the one way in which every rung is run."""
