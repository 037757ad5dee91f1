"""How many processor cores this process may use."""
import math
import os
from pathlib import Path

CONTROLLERS = Path("/sys/fs/cgroup")    # where Linux shows the limits of control groups, containers among them
MEMBERSHIP = Path("/proc/self/cgroup")  # which of these groups this process is in


def cores():
    """The number of cores (int, at least 1): those it may run on, or fewer where a container's quota pays for fewer.

    More threads than that would only wait for one another: 64 threads on a quota of 2 cores stand still most of the time.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.ceil(min(allowed, quota())), 1)


def quota(controllers=CONTROLLERS, membership=MEMBERSHIP):
    """Cores' worth of time per second that the process's control groups allow (float; inf without a limit).

    Both versions of control groups are read. A group inside a group obeys both, so that the smallest limit counts.
    controllers, membership: Paths as above.
    """
    return min((_limit(folder) for folder in groups("cpu", controllers, membership)), default=math.inf)


def groups(controller, controllers=CONTROLLERS, membership=MEMBERSHIP):
    """The folders (Paths, generator) of the control groups that limit this process's `controller`, "cpu" or "memory".

    controllers, membership: as above. Not all of the folders need be there.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return  # no Linux
    for _, kind, path in lines:
        if kind and controller not in kind.split(","):
            continue
        top = controllers / kind
        here = top / path.lstrip("/")
        # A container sees its own group as the top, while its path may be the one outside: what is missing is skipped.
        for folder in (here, *here.parents):
            yield folder
            if folder == top:
                break


def _limit(folder):
    """The limit that one group's `folder` (Path) holds, in cores (float; inf without one)."""
    try:
        if (folder / "cpu.max").exists():  # version 2: "200000 100000" or "max 100000", microseconds
            time, period = (folder / "cpu.max").read_text().split()
        else:                              # version 1: -1 is no limit
            time, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(time) / int(period) if int(time) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
