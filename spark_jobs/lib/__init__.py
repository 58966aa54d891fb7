"""The parts of the stream processor, one idea each."""
