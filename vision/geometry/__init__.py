"""Cameras and planes: homographies and panoramas."""
