"""What pages in the browser share: a server for this machine alone, page basics, the timeline. Knows util alone."""
