"""Reviews: the evidence that is collected before anything is touched, and the post-incident review made from it."""
