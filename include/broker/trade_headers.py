"""Headers of the records of ``crypto-trades``. Without any, a trade came by stream and nothing was left out."""

from __future__ import annotations

SOURCE = "source"
FROM_REST = b"rest"  # btc_producer fetched it by id, in its place in the order of ids
REPAIR = "repair"  # published later by a repair, out of order: says nothing about where the producer stands
SAMPLING, SAMPLING_BLOCK = "sampling", "sampling-block"  # see include.producer.sampling
