"""Work done ahead by threads, handed out in order."""
import threading
import time
import weakref

_PATIENCE = 2.0  # seconds that closing waits for a thread in the middle of something


class _Shared:
    """What the threads and their owner have in common. Threads hold this and not the owner, so that an owner that is
    forgotten is collected, and its threads end."""

    def __init__(self, ahead):
        self.changed = threading.Condition()
        self.results, self.next_job, self.handed_out, self.ahead = {}, 0, 0, ahead
        self.stopped = False


def _work(shared, make, jobs):
    while True:
        with shared.changed:
            while not shared.stopped and shared.next_job >= shared.handed_out + shared.ahead:
                shared.changed.wait()
            if shared.stopped or (jobs is not None and shared.next_job >= jobs):
                return
            job, shared.next_job = shared.next_job, shared.next_job + 1
        try:
            result = make(job, lambda: shared.stopped), None
        except BaseException as error:  # noqa: BLE001  (whatever it is, it belongs to whoever waits for this job)
            result = None, error
        with shared.changed:
            shared.results[job] = result
            shared.changed.notify_all()


def _stop(shared, threads):
    with shared.changed:
        shared.stopped = True
        shared.results.clear()
        shared.changed.notify_all()
    deadline = time.monotonic() + _PATIENCE
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(deadline - time.monotonic(), 0))


class Prefetch:
    """Iterates over make(0), make(1), ..., computed by threads a few jobs ahead.

    make: function of (job number, stopped), where stopped() turns True when the result is no longer wanted; an
    exception is raised again in front of whoever iterates, at its turn. jobs: how many, or None for endless.
    workers: threads. ahead: results in the making or waiting, at most. waited: seconds that next() had to wait.
    The threads are daemons: the process can end at any moment; close() ends them, as does the end of the program.
    """

    def __init__(self, make, jobs=None, workers=1, ahead=3):
        self.waited, self.jobs = 0.0, jobs
        self._shared = _Shared(max(ahead, workers))
        threads = [threading.Thread(target=_work, args=(self._shared, make, jobs), daemon=True, name=f"loader-{n}")
                   for n in range(workers)]
        self._end = weakref.finalize(self, _stop, self._shared, threads)
        for thread in threads:
            thread.start()

    def __iter__(self):
        return self

    def __next__(self):
        shared = self._shared
        job = shared.handed_out
        if not self._end.alive or (self.jobs is not None and job >= self.jobs):
            raise StopIteration
        began = time.perf_counter()
        with shared.changed:
            while job not in shared.results and not shared.stopped:
                shared.changed.wait()
            self.waited += time.perf_counter() - began
            if shared.stopped:
                raise StopIteration
            result, error = shared.results.pop(job)
            shared.handed_out += 1
            shared.changed.notify_all()
        if error is not None:
            self.close()
            raise error
        return result

    def close(self):
        """End the threads; what they have in hand is thrown away. Returns within about two seconds at the latest."""
        self._end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
