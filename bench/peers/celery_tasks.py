"""The tasks, as Celery knows them."""

import os
import random

from celery import Celery

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
app = Celery("quilt", broker=URL, backend=URL)
app.conf.worker_prefetch_multiplier = 64


@app.task
def color(index):
    return f"#{random.randrange(1 << 24):06X}"


@app.task
def finish(colors):
    return len(colors)
