"""Command lines: options shared by training and testing, those of each, and those that model and dataset add."""
