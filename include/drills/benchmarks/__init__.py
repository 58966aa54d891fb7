"""Measured figures of the hot paths, as ratios against a bare baseline in the same run (``make bench``)."""
