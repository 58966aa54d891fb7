"""The exchange's market-data protocol: messages, REST, stream, endpoints, weight budget; ``standin`` is a loopback exchange."""
