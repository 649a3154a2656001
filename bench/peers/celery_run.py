"""TASKS tasks in a group with a chord, on WORKERS processes. Prints the seconds that it took, and those of CPU."""

import os
import subprocess
import sys
import time

from processes import cpu_seconds, free_port, start_redis

tasks, workers = int(os.environ["TASKS"]), os.environ["WORKERS"]
port = free_port()
redis = start_redis(port)
os.environ["REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
worker = subprocess.Popen(
    [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-c", workers, "--loglevel", "ERROR", "--without-gossip",
     "--without-mingle"],
    stdout=sys.stderr,
)
try:
    from celery import chord, group
    from celery_tasks import app, color, finish

    while not app.control.ping(timeout=0.5):
        pass
    chord(group(color.s(index) for index in range(100)))(finish.s()).get()
    roots = {redis.pid, worker.pid, os.getpid()}
    before, started = cpu_seconds(roots), time.monotonic()
    done = chord(group(color.s(index) for index in range(tasks)))(finish.s()).get()
    took = time.monotonic() - started
    assert done == tasks
    print(f"{took:.3f} {cpu_seconds(roots) - before:.3f}")
finally:
    worker.terminate()
    worker.wait()
    redis.terminate()
