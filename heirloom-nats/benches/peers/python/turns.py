"""The turns of a peer that is written in Python.

A program prints `ready`. Then each line `SIZE COUNT` on its standard input is one turn: so many jobs, of so many bytes each, are
sent together, and their results are taken. The answer is a line with the nanoseconds. It ends with its input, and its workers with it.
"""

import os
import subprocess
import sys
import time

CPUS = os.cpu_count() or 1


def start_worker(*words):
    """Starts a worker of the peer as a process, by the peer's own command."""
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=os.path.dirname(os.path.abspath(__file__)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def serve(workers, turn):
    """Plays the turns: `turn(data, count)` sends the jobs and returns their results."""
    try:
        turn("7", 1)
        print("ready", flush=True)
        for line in sys.stdin:
            size, count = map(int, line.split())
            data = "7" * size
            begun = time.perf_counter_ns()
            results = turn(data, count)
            took = time.perf_counter_ns() - begun
            assert results == [size] * count, "a job has another result"
            print(took, flush=True)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            try:
                worker.wait(timeout=5)
            except subprocess.TimeoutExpired:
                worker.kill()
