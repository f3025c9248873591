"""People and masks corrected by hand, in the browser."""
