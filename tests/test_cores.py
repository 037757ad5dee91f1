"""How many cores: the quota of a container counts, in both versions of Linux's control groups."""
import math
import os
import subprocess
import sys

import pytest

from minidarknet import cores


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.mark.parametrize("text, limit", [("200000 100000", 2),
                                         ("150000 100000", 1.5), ("max 100000", math.inf), ("", math.inf)])
def test_version_2(tmp_path, text, limit):
    """The group's own path may be the one outside of the container: then the top is the container."""
    write(tmp_path, membership="0::/system.slice/outside.scope")
    write(tmp_path / "groups", cpu__max=text)
    assert cores.quota(tmp_path / "groups", tmp_path / "membership") == limit


def test_the_smallest_limit_on_the_way_up_counts(tmp_path):
    write(tmp_path, membership="0::/a/b")
    write(tmp_path / "groups/a", cpu__max="300000 100000")
    write(tmp_path / "groups/a/b", cpu__max="800000 100000")
    assert cores.quota(tmp_path / "groups", tmp_path / "membership") == 3


@pytest.mark.parametrize("quota, limit", [("400000", 4), ("-1", math.inf)])
def test_version_1(tmp_path, quota, limit):
    write(tmp_path, membership="9:memory:/m\n3:cpu,cpuacct:/docker/1234\n1:name=systemd:/")
    write(tmp_path / "groups/cpu,cpuacct", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert cores.quota(tmp_path / "groups", tmp_path / "membership") == limit


def test_elsewhere(tmp_path):
    assert cores.quota(tmp_path, tmp_path / "no such file") == math.inf


@pytest.mark.parametrize("quota, count", [(1.5, 2), (.3, 1), (1000, None), (math.inf, None)])
def test_no_more_than_allowed_and_at_least_one(monkeypatch, quota, count):
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    monkeypatch.setattr(cores, "quota", lambda: quota)
    assert cores.cores() == min(count or allowed, allowed)


@pytest.mark.parametrize("own, count", [(None, 1), ("3", 3)])
def test_the_library_keeps_to_it_and_the_user_has_the_last_word(own, count):
    code = ("import minidarknet.cores; minidarknet.cores.cores = lambda: 1\n"
            "import minidarknet.kernels, numba; print(numba.get_num_threads())")
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**env, **({"NUMBA_NUM_THREADS": own} if own else {})})
    assert done.stdout.strip() == str(count), done.stderr
