"""celery over Redis, which keeps its results too: `delay`, and `get` of each result."""

import os

from celery import Celery

REDIS = os.environ["BENCH_REDIS"]
app = Celery("celery_peer", broker=REDIS, backend=REDIS)


@app.task
def length(data):
    return len(data)


def turn(data, count):
    sent = [length.delay(data) for _ in range(count)]
    return [result.get(timeout=60) for result in sent]


if __name__ == "__main__":
    from celery_peer import turn  # by the name under which the worker knows the task

    from turns import CPUS, serve, start_worker

    worker = start_worker("celery", "-A", "celery_peer", "worker", "--concurrency", str(CPUS))
    serve([worker], turn)
