"""Kafka as the pipeline uses it: topics, positions of the consumer group, the dead-letter format."""
