"""Detection judged on a simulated plant: labelled stories, baselines to compare with, and the bench."""
