"""The Lua scripts that change a queue's keys, each atomic: read from the package, addressed by their SHA-1."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Any

import redis


@cache
def load_script(name: str) -> str:
    """Return the source of ``<name>.lua``."""
    return resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")


@cache
def script_sha(name: str) -> str:
    """Return the digest by which ``EVALSHA`` addresses the script."""
    return hashlib.sha1(load_script(name).encode(), usedforsecurity=False).hexdigest()


def run_script(client: Any, name: str, keys: list[str], *args: bytes | str | float) -> Any:
    """Run a script on a redis-py client, loading it when the server does not know it yet.

    With an asyncio client, await :func:`run_script_async` instead.
    """
    try:
        return client.evalsha(script_sha(name), len(keys), *keys, *args)
    except redis.exceptions.NoScriptError:
        return client.eval(load_script(name), len(keys), *keys, *args)


async def run_script_async(client: Any, name: str, keys: list[str], *args: bytes | str | float) -> Any:
    """Run a script on a ``redis.asyncio`` client, loading it when the server does not know it yet."""
    try:
        return await client.evalsha(script_sha(name), len(keys), *keys, *args)
    except redis.exceptions.NoScriptError:
        return await client.eval(load_script(name), len(keys), *keys, *args)
