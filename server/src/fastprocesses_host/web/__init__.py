"""The standard over HTTP: a module a resource, and what resources share."""
