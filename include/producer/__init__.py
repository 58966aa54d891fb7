"""The btc_producer process: feed → validate → sequence by trade id → Kafka."""
