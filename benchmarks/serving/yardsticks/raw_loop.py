"""The floor of latency: a bare loop over a stream, the same bundle in this very process, nothing kept safe."""

from __future__ import annotations

import os

import redis

from sortgate import Classifier

link = redis.Redis.from_url(os.environ["BENCH_BROKER"])
classifier = Classifier.load(os.environ["BENCH_BUNDLE"], threads=1)
last = b"$"
link.xadd("raw:ready", {"pid": os.getpid()})
while True:
    for _, entries in link.xread({"raw:requests": last}, count=256, block=1000) or ():
        made = classifier([fields[b"text"].decode() for _, fields in entries])
        with link.pipeline(transaction=False) as pipe:
            for (entry, fields), prediction in zip(entries, made, strict=True):
                pipe.rpush(fields[b"reply"], f"{prediction.label}")
                last = entry
            pipe.execute()
