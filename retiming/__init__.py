"""Layers shown at other times: edits, the compositor, rendering, and the editor in the browser. Loads no torch."""
