"""The engine: executors, one job to its end, and the worker's signs of life."""
