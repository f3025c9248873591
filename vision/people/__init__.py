"""People in pictures: poses, tracks, drawn bodies, UV maps."""
