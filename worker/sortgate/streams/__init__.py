"""Redis Streams of one queue: the Lua scripts that change them and the figures an operator reads."""
