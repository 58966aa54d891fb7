"""MySQL: schema and migrations, connections, the exact writer of averages, readers."""
