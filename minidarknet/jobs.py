"""Several trainings at a time, each a process of its own on one core, one beginning with the weights of another."""
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from minidarknet.files import replacing
from minidarknet.runs import RunFolder

DONE = "done.json"  # in a run folder: its step is complete
LOOK = 2            # seconds between two looks at how far the trainings are


class Jobs:
    """Carries the Steps of a ladder out in the folder `out`, `at_once` of them at a time.

    failed: dict folder -> why (str), of the steps that ended without a result or could not begin.
    """

    def __init__(self, out, at_once):
        self.out, self.at_once, self.failed = Path(out), at_once, {}
        self._children = []

    def is_done(self, folder):
        """Whether the step of a folder (str) is complete, by this command or an earlier one."""
        return (self.out / folder / DONE).exists()

    def seconds(self, folder):
        """How long the training of a complete step took, its beginning and end included; of a resumed one the last part."""
        return json.loads((self.out / folder / DONE).read_text())["seconds"]

    def carry_out(self, steps, words):
        """Run the Steps that are not complete, with progress and the time left. words: function Step -> list of str, the
        arguments of `train`.

        A training that was interrupted is resumed. Ctrl-C, or a polite kill, ends the trainings, which save themselves.
        """
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._carry_out(steps, words)
        finally:
            signal.signal(signal.SIGTERM, before)

    def _carry_out(self, steps, words):
        waiting, running = [step for step in steps if not self.is_done(step.folder)], {}
        total = sum(step.updates * step.batch for step in steps)
        with ThreadPoolExecutor(self.at_once) as pool, \
                tqdm(total=total, initial=self._seen(steps), unit="picture", unit_scale=True, dynamic_ncols=True,
                     mininterval=.5 if sys.stderr.isatty() else 30) as bar:
            try:
                while waiting or running:
                    ready = [step for step in waiting if step.needs is None or self.is_done(step.needs)]
                    for step in ready[:self.at_once - len(running)]:
                        waiting.remove(step)
                        running[pool.submit(self._train, step, words(step))] = step.folder
                    for future in wait(running, LOOK, FIRST_COMPLETED).done:
                        running.pop(future)
                        future.result()
                    self._give_up(waiting)
                    bar.set_postfix_str(", ".join(running.values()), refresh=False)
                    bar.update(self._seen(steps) - bar.n)
            except BaseException:
                for child in self._children:
                    child.terminate()   # once: it saves itself, and the pool waits for it
                raise

    def _give_up(self, waiting):
        """Take out of the list what would begin with a step that failed."""
        for step in [step for step in waiting if step.needs in self.failed]:
            waiting.remove(step)
            self.failed[step.folder] = f"it begins with {step.needs}, which failed"

    def _seen(self, steps):
        """How many pictures the Steps have learnt from so far: the rows of their metrics."""
        return sum(step.updates * step.batch if self.is_done(step.folder) else
                   min(len(RunFolder(self.out / step.folder).rows()), step.updates) * step.batch for step in steps)

    def _train(self, step, words):
        """One training as a process; what it says goes to FOLDER.log."""
        folder, began = RunFolder(self.out / step.folder), time.monotonic()
        words = ["--resume", *words] if folder.checkpoint.exists() else words
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        log = folder.path.with_suffix(".log")
        with open(log, "a", encoding="utf-8") as file:
            child = subprocess.Popen([sys.executable, "-m", "minidarknet", "train", *words, "--out", str(folder.path)],
                                     stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                                     start_new_session=True)    # the terminal's Ctrl-C would be a second signal
            self._children.append(child)
            code = child.wait()
            self._children.remove(child)
        if code:
            self.failed[step.folder] = f"exit code {code}, see {log}"
            return
        with replacing(folder.path / DONE, "w") as file:
            json.dump({"seconds": round(time.monotonic() - began, 1)}, file)
