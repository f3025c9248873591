"""The editor: a page for the browser, and the server behind it."""
