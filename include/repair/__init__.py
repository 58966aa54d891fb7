"""Repair: after a fault the tables equal what they would have been without it, and that is proved."""
