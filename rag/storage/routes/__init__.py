"""How routes turned out."""
