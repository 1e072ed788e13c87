"""rq: `enqueue`, and the wait for each result that its documentation names.

Its workers are of the class that forks no process for each job, which is quicker, and as many as there are CPUs.
"""

import os

from redis import Redis
from rq import Queue

REDIS = os.environ["BENCH_REDIS"]
queue = Queue(connection=Redis.from_url(REDIS))


def length(data):
    return len(data)


def turn(data, count):
    sent = [queue.enqueue("rq_peer.length", data, result_ttl=60) for _ in range(count)]
    return [job.latest_result(timeout=60).return_value for job in sent]


if __name__ == "__main__":
    from turns import CPUS, serve, start_worker

    command = ["rq.cli", "worker", "--url", REDIS, "--worker-class", "rq.worker.SimpleWorker", "--quiet"]
    serve([start_worker(*command) for _ in range(CPUS)], turn)
