"""Scripts that fetch, prepare or make the data of a clip."""
