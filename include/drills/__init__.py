"""Exercising the pipeline: benchmarks, and later faults and their scores."""
