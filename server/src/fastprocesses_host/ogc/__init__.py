"""The standard without I/O: pure functions and frozen Structs, tested by tables."""
