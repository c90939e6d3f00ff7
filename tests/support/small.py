"""Command lines that train a network of eight units, within seconds."""

from __future__ import annotations

#: The network, on one thread.
SHAPE = ("--threads", "1", "--set", "model.hidden=8", "--set", "model.embedding=16")
#: Trained from the training texts alone.
ONCE = (*SHAPE, "--set", "refit=false")
#: The same with more steps an epoch, which few texts need.
QUICK = (*ONCE, "--set", "batch_size=16")
