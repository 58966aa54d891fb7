"""Spark jobs of the pipeline."""
