"""The producer's side: enqueue texts, read their labels; needs redis-py and msgspec, nothing else."""

from __future__ import annotations

from sortgate.client.aio import AsyncClient
from sortgate.client.sync import Client

__all__ = ["AsyncClient", "Client"]
