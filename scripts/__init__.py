"""Commands around the programs: downloads, recipes, and the laboratory."""
