"""Clips that are made, so that everything about them is known."""
