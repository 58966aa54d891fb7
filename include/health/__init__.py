"""What the pipeline is doing: positions at each hop."""
