"""From a video to a dataroot: the steps of prepare.py."""
