"""JSON Schemas: what a value must be, and what is wrong with it."""
