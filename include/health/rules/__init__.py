"""The rules of each scenario: from observations to a verdict, pure, with no time but that of the observations."""
