"""The exchange's market-data protocol: messages, REST, stream, endpoints, weight; ``standin`` is a loopback copy."""
