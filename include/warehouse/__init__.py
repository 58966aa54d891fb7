"""MySQL: schema, migrations, connection pool, idempotent writer."""
