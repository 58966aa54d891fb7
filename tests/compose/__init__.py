"""The pipeline in containers, end to end: engine, images, `docker compose up`, faults (`make test-compose`)."""
