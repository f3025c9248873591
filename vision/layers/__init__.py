"""Layers of a picture: mattes, clean plates, effects such as shadows, time warps."""
