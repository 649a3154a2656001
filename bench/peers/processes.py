"""What a run on this machine costs: all processes that it starts, and their children."""

import os
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_redis(port):
    """A Redis that keeps nothing on the disk, which is what the others are usually run on."""
    redis = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return redis
        except OSError:
            time.sleep(0.02)


def cpu_seconds(roots):
    """The CPU time that these processes and all below them have taken."""
    parents = {}
    times = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1])
        # With those of children that have ended.
        times[int(name)] = sum(int(fields[place]) for place in (11, 12, 13, 14))
    def is_below(pid):
        while pid in parents:
            if pid in roots:
                return True
            pid = parents[pid]
        return False
    ticks = sum(time for pid, time in times.items() if is_below(pid))
    return ticks / os.sysconf("SC_CLK_TCK")
