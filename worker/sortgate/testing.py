"""A pytest plugin for users: a private Redis server."""
