"""The laboratory: benchmarks, fuzz tests, broken runs, and the pages they write."""
