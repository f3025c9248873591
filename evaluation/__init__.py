"""How good an export is: measures, worst frames and their page."""
