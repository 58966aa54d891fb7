"""What keeps remedies from doing harm: cooldown, budget, locks, storm gate, breaker, kill switch, leases."""
