"""The store: keys, scripts, the operations made of them, and the two small runners that run operations."""
