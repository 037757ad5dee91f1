"""Damaged cfg and weights files: a clear error, or exactly the network that the file describes; nothing else, and soon.

The damage is drawn from seeds, so that every run tries the same files; a file that once broke something is a case of its
own below.
"""
import random
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
from small import BODY, REGION
from small_net import CFG, arrays, filled, network

from minidarknet import info, limits, parser, weights
from minidarknet.errors import MinidarknetError, WeightsError
from minidarknet.network import Network
from minidarknet.paths import BUNDLED

GIGABYTE, MEMORY = 10 ** 9, limits.memory
ABSURD = ("999999999", "2147483647", "2147483648", "1e9", "-1", "0", "-2147483648", "9" * 23, "1e999", "nan",
          "inf", ".5", "1e-50", "", "=", "#", "x", "0x10", "1,2", ",", "1,,2", "-0", "+3", "７", "leaky", "1" * 5000)
BUNDLED_ONES = ("yolov3-tiny", "resnet18", "alexnet", "extraction", "yolov2-nano")
BASES = [BODY.format(activation="leaky") + REGION.format(rescore=1),
         *((BUNDLED / f"{name}.cfg").read_text() for name in BUNDLED_ONES)]


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    """A machine of one gigabyte, so that a test that fills it does no harm."""
    monkeypatch.setattr(limits, "memory", lambda: GIGABYTE)


def damaged_text(text, rng):
    """A cfg with one to three kinds of damage."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 3)):
        kind, i, j = rng.randrange(9), rng.randrange(len(lines)), rng.randrange(len(lines))
        if kind <= 2:
            options = [n for n, line in enumerate(lines) if "=" in line] or [i]
            n = rng.choice(options)
            lines[n] = lines[n].partition("=")[0] + "=" + rng.choice(ABSURD)
        elif kind == 3:
            lines[i], lines[j] = lines[j], lines[i]
        elif kind == 4:
            del lines[min(i, j):min(i, j) + rng.randint(1, 9)]
            lines = lines or [""]
        elif kind == 5:
            lines[i:i] = lines[j:j + rng.randint(1, 12)]
        elif kind == 6:
            rng.shuffle(lines)
        elif kind == 7:
            line = lines[i]
            k = rng.randrange(len(line) + 1)
            lines[i] = line[:k] + chr(rng.choice((0, 9, 13, 27, 61, 91, 93, 127, 255, 8232, 0x1F600))) + line[k + 1:]
        else:
            lines = "\n".join(lines)[:rng.randrange(len(text) + 1)].split("\n")
    return "\n".join(lines)


def described(net, cfg):
    """Check that the network is the one its cfg describes: every section a layer with the values of its lines."""
    assert [layer.name for layer in net.layers] == [section.name for section in cfg.layers]
    for layer, section in zip(net.layers, cfg.layers):
        for key, entry in {e.key: e for e in reversed(section.entries)}.items():
            value = getattr(layer.options, {"from": "from_"}.get(key, key), None)
            if isinstance(value, (int, float)):
                assert value == float(entry.value.partition("#")[0])
        assert len(layer.shape) == 3 and min(layer.shape) >= 1 and np.prod(layer.shape, dtype=float) <= limits.MOST


@pytest.mark.parametrize("seed", range(40))
def test_damaged_cfgs(seed, tmp_path):
    """They are built, or refused; so are their table, and the reason why a file of weights does not fit them."""
    rng, built = random.Random(seed), 0
    file = tmp_path / "my.weights"
    file.write_bytes(struct.pack("<iiiQ", 0, 2, 0, 0) + bytes(4 * rng.randrange(10 ** 5)))
    for _ in range(25):
        text = damaged_text(rng.choice(BASES), rng)
        try:
            cfg = parser.parse(text, "my.cfg")
            net = Network(cfg, arrays=False)
        except MinidarknetError as refusal:
            assert "my.cfg" in str(refusal) and len(str(refusal)) < 1000
        else:
            described(net, cfg)
            assert len(info.text(net).splitlines()) == len(net.layers) + 6
            with pytest.raises(WeightsError, match="Likely cause"):
                weights.measure(net, file)
            built += 1
    assert seed or built, "no damaged cfg makes a network: the test would not see a wrong one"


@pytest.mark.parametrize("seed", range(4))
def test_damaged_networks_run(seed):
    """What is not refused also runs, and gives numbers of the shape that it promised."""
    rng, ran = random.Random(seed), 0
    x = np.random.default_rng(seed).random((1, 16, 16, 3), np.float32)
    for _ in range(60):
        try:
            net = Network(parser.parse(damaged_text(BASES[0], rng), "my.cfg"), backend="kernels", fused=False)
            if net.input.shape != x.shape[1:] or sum(layer.operations() for layer in net.layers) > 1e8:
                continue
            out = net.predict(x)
        except MinidarknetError as refusal:
            assert "my.cfg" in str(refusal)
        else:
            outs = out if isinstance(out, tuple) else (out,)
            assert [one.size for one in outs] == [np.prod(head.shape) for head in net.heads]
            ran += 1
    assert ran > 5


def damaged_bytes(data, rng):
    """A weights file with one kind of damage."""
    data, kind = bytearray(data), rng.randrange(7)
    if kind == 0:
        del data[rng.randrange(len(data)):]
    elif kind == 1:
        data += rng.randbytes(rng.choice((1, 4, 8, 100)))
    elif kind == 2:
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 3:
        where = 4 * rng.randrange(5)
        data[where:where + 4] = struct.pack("<i", rng.choice((-1, 0, 1, 2, 5, 1000, 1002, 2 ** 31 - 1, -2 ** 31)))
    elif kind == 4:
        number = rng.choice((np.nan, np.inf, -np.inf, 3e38, -1e30, 1e-45))
        where = 20 + 4 * rng.randrange((len(data) - 20) // 4)
        data[where:where + 4] = struct.pack("<f", number)
    elif kind == 5:
        data = bytearray(rng.randbytes(len(data)))
    else:
        i, j = sorted(rng.randrange(len(data)) for _ in range(2))
        data[i:j] = bytes(j - i)
    return bytes(data)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_weights(seed, tmp_path):
    rng, good, bad = random.Random(seed), tmp_path / "good.weights", tmp_path / "bad.weights"
    weights.save(filled(), good)
    net, loaded = network(), 0
    for _ in range(60):
        data = damaged_bytes(good.read_bytes(), rng)
        bad.write_bytes(data)
        before = arrays(net)
        try:
            header = weights.load(net, bad).header
        except MinidarknetError as refusal:
            assert str(bad) in str(refusal) and all(np.array_equal(a, b) for a, b in zip(before, arrays(net), strict=True))
        else:
            weights.save(net, tmp_path / "again.weights")
            assert (tmp_path / "again.weights").read_bytes()[20:] == data[header.size:]
            assert all(np.isfinite(array).all() and np.abs(array).max() < weights.ABSURD for array in arrays(net))
            loaded += 1
    assert loaded > 5


CFGS = {
    "empty": (b"", "no sections"), "blank": (b" \r\n\t\n", "no sections"), "nul": (CFG.encode() + b"\0", "this is not text"),
    "binary": (bytes(range(256)) * 9, "this is not text"), "letters": (b"\xe9\xe8" * 999, "stands before the first section"),
    "huge line": (CFG.encode() + b"x" * 300_000, None), "huge key": (CFG.encode() + b"x" * 300_000 + b"=1\n", None),
    "huge value": (CFG.encode() + b"thresh=" + b"7" * 300_000, "thresh=777"),
    "huge section": (CFG.encode() + b"[" + b"x" * 300_000 + b"]\n", "unknown section [xxx"),
    "huge file": (CFG.encode() + b"#" * (1 << 20), "has more than 1,048,576 bytes"),
    "junk": (CFG.encode() + b"".join(b"a%d\n" % n for n in range(9000)), "lines have no effect, so this is no cfg"),
    "keys": (CFG.encode() + b"".join(b"key%d=1\n" % n for n in range(9000)), "lines have no effect, so this is no cfg"),
    "same key": (CFG.encode() + b"classes=2\n" * 90_000, None),
    "old Mac": (CFG.replace("\n", "\r").encode(), "follows [net]"),
    "UTF-16": (CFG.encode("utf-16"), None), "UTF-16, cut": (CFG.encode("utf-16")[:-1], "this is not text"),
    "UTF-16, no mark": (CFG.encode("utf-16-le"), "this is not text"),
    "UTF-8 mark": (CFG.encode("utf-8-sig"), None), "Windows": (CFG.replace("\n", "\r\n").encode(), None),
    "Latin comment": (b"# \xe9\n" + CFG.encode(), None),
}


@pytest.mark.parametrize("name", CFGS)
def test_files_that_are_hardly_cfgs(name, tmp_path, capsys):
    data, told = CFGS[name]
    path = tmp_path / "my.cfg"
    path.write_bytes(data)
    if told is None:
        assert [layer.shape for layer in Network.from_cfg(path).layers] == [layer.shape for layer in network().layers]
        assert len(capsys.readouterr().err) < 300
        return
    with pytest.raises(MinidarknetError) as caught:
        Network.from_cfg(path)
    assert "my.cfg" in str(caught.value) and told in str(caught.value) and len(str(caught.value)) < 600


NET = "[net]\nwidth=8\nheight=8\nchannels=3\n"
LARGE = {
    "filters": ("[conv]\nfilters=999999999\n", "would give 8 x 8 x 999999999"),
    "filters of a pixel": ("[avgpool]\n[conv]\nfilters=2000000000\nbatch_normalize=1\n", "GB"),
    "kernel": ("[conv]\nsize=2000000001\npad=1\n", "12,000,000,012,000,000,004 weights"),
    "smaller kernel": ("[conv]\nsize=20001\npad=1\nfilters=4\n", "4,800,480,016 weights"),
    "margin": ("[conv]\npadding=100000\nstride=100000\n", None),
    "padding": ("[conv]\npadding=2000000000\n", "as far as Darknet counts"), "pad": ("[conv]\npadding=-1\n", "at least 0"),
    "output": ("[connected]\noutput=2147483647\n", "one picture"),
    "upsample": ("[upsample]\nstride=2000000\n", "as far as Darknet counts"),
    "reorg": ("[reorg]\nstride=2000000\n", "needs a multiple of"), "crop": ("[crop]\ncrop_width=2000000000\n", "more than"),
    "region": ("[region]\nnum=2000000000\n", "at most 1,024"), "yolo": ("[yolo]\nnum=2000000000\n", "at most 1,024"),
    "size": ("[avgpool]\n[conv]\nfilters=25\n[region]\nanchors=1,1e300\n", "1e+300 is larger than any picture"),
    "infinity": ("[region]\nthresh=1e999\n", "expected a number"),
    "anchors": ("[yolo]\nnum=3\nmask=2000000000\n", "mask"), "cost": ("[cost]\n", "no layer stands before it"),
    "classes": ("[region]\nclasses=2147483647\n", "expects 2147483652 channels"),
    "groups": ("[conv]\ngroups=9999999\n", "must divide"),
    "32 bits": ("[conv]\nfilters=4294967297\n", "whole number of at most 32 bits"),
    "many": ("[conv]\nfilters=500\nsize=9\npad=1\n" * 99, "but this machine has 1.0 GB"),
}


@pytest.mark.parametrize("name", LARGE)
def test_absurd_numbers(name):
    text, told = LARGE[name]
    with pytest.raises(MinidarknetError) as caught:
        net = Network.from_string(NET + text)
        net.predict(np.zeros((1, 8, 8, 3), np.float32))
    assert (told or "a mini-batch of 1 takes 480.0 GB") in str(caught.value)


@pytest.mark.parametrize("size", ["width=1000000000", "height=2147483647", "channels=2147483647"])
def test_absurd_inputs(size):
    with pytest.raises(MinidarknetError, match="as far as Darknet counts"):
        Network.from_string(NET.replace(f"{size.partition('=')[0]}=", f"{size}\nx=") + "[conv]\n")


def test_windows_far_larger_than_the_picture():
    """A window of two billion pixels sees the eight that are there, at once."""
    text = NET + "[maxpool]\nsize=2000000001\nstride=1\n"
    x = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    for backend in ("kernels", "engine"):
        out = Network.from_string(text, backend=backend, fused=False).predict(x)
        assert np.array_equal(out, np.broadcast_to(x.max((1, 2), keepdims=True), x.shape))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_refusal_takes_no_memory(tmp_path):
    """The largest numbers that are not refused at sight, in a process of its own: how much memory did it ever have?"""
    path = tmp_path / "my.cfg"
    path.write_text(NET + "[avgpool]\n[conv]\nfilters=60000000\nbatch_normalize=1\n" + "[conv]\nfilters=30000\n" * 9)
    code = ("import sys; from minidarknet import cli, limits; limits.memory = lambda: 10 ** 10\n"
            "code = cli.main(['info', sys.argv[1]]); print(open('/proc/self/status').read()); sys.exit(code)")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "brings the network to" in done.stderr, done.stderr
    assert int(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]) < 150_000


def test_memory_of_a_container(tmp_path):
    (tmp_path / "self").write_text("0::/a/b\n4:memory:/c\n")
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/memory.max").write_text("max\n")
    (tmp_path / "memory/c").mkdir(parents=True)
    told = []
    for file, number in (("memory/c/memory.limit_in_bytes", 5_000_000), ("a/b/memory.max", 3_000_000)):
        (tmp_path / file).write_text(f"{number}\n")
        told.append(MEMORY(tmp_path, tmp_path / "self"))
    assert told == [5_000_000, 3_000_000]
    assert MEMORY(tmp_path, tmp_path / "none") > 10 ** 8


def test_training_takes_more_than_predicting():
    net = Network.from_string(NET + "[conv]\nfilters=40\nactivation=leaky\n" * 3, backend="kernels")
    batch = GIGABYTE // (4 * 64 * (3 + 3 * 40))
    limits.check_batch(net, batch, False)
    with pytest.raises(MinidarknetError, match="a mini-batch of 31758 takes 2.0 GB, but this machine has 1.0 GB of memory"):
        limits.check_batch(net, batch, True)
