"""TASKS jobs in a flow, on WORKERS processes. Prints the seconds that it took, and those of CPU."""

import os
import subprocess
import time

from processes import cpu_seconds, free_port, start_redis

tasks, workers = os.environ["TASKS"], int(os.environ["WORKERS"])
port = free_port()
redis = start_redis(port)
os.environ["REDIS_PORT"] = str(port)


def start(program):
    return subprocess.Popen(["node", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


started = [start("bullmq_worker.mjs") for _ in range(workers)]
try:
    for worker in started:
        assert worker.stdout.readline() == "ready\n"
    flow = start("bullmq_flow.mjs")
    started.append(flow)
    assert flow.stdout.readline() == "ready\n"
    roots = {redis.pid, os.getpid()}
    before, begin = cpu_seconds(roots), time.monotonic()
    flow.stdin.write(f"{tasks}\n")
    flow.stdin.flush()
    assert flow.stdout.readline() == "done\n"
    took = time.monotonic() - begin
    print(f"{took:.3f} {cpu_seconds(roots) - before:.3f}")
finally:
    for process in started:
        process.kill()
    redis.terminate()
