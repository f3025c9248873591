"""A training run: its position and state, its batch size and its time budget. Knows no model."""
