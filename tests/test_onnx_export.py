"""ONNX models: ONNX Runtime, a program by others, computes from them what the network computes."""
import sys
from pathlib import Path

import numpy as np
import pytest
from small import BODY, REGION

from minidarknet import Network, activations, cli, onnx_export, weights
from minidarknet.errors import MinidarknetError, UsageError
from minidarknet.layers import LAYERS

GOLDEN = Path(__file__).parent / "golden"
NET = "[net]\nwidth={w}\nheight={h}\nchannels={c}\n"
CONV = "[conv]\nfilters=6\nsize=3\npad=1\nactivation=leaky\n"
YOLO = "anchors=10,13, 16,30, 33,23, 30,61\nclasses=3\nnum=4\n"
SMALL = {
    "convolutional": CONV + "[conv]\nfilters=8\nsize=2\nstride=2\npadding=1\ngroups=2\nbatch_normalize=1\n"
                     "activation=relu\n",
    "even kernel": "[conv]\nfilters=5\nsize=4\npad=1\nstride=3\nactivation=linear\n",
    "connected": CONV + "[connected]\noutput=7\nactivation=tanh\nbatch_normalize=1\n[connected]\noutput=5\n",
    "batchnorm": CONV + "[batchnorm]\n[activation]\nactivation=ramp\n",
    "maxpool": CONV + "[maxpool]\nsize=2\nstride=2\n[maxpool]\nsize=2\nstride=1\n"
               "[maxpool]\nsize=3\nstride=2\npadding=0\n",
    "pyramid": CONV + "[maxpool]\nsize=13\n[route]\nlayers=-2\n[maxpool]\nsize=5\n[route]\nlayers=-1,-3,-4\n",
    "avgpool": CONV + "[avgpool]\n", "dropout": CONV + "[dropout]\n",
    "softmax": CONV + "[softmax]\ngroups=3\ntemperature=2.5\n[cost]\n",
    "crop": "[crop]\ncrop_height=7\ncrop_width=4\n" + CONV, "crop, not adjusted": "[crop]\ncrop_height=4\nnoadjust=1\n",
    "route": CONV + "[route]\nlayers=0\ngroups=2\ngroup_id=1\n" + CONV + "[route]\nlayers=-1,0,-2\n"
             "[route]\nlayers=0,2\ngroups=3\n",
    "upsample": CONV + "[upsample]\nstride=3\nscale=.5\n", "upsample, back": CONV + "[upsample]\nstride=-2\nscale=.5\n",
    "shortcut": CONV * 2 + "[shortcut]\nfrom=0\nactivation=leaky\nalpha=.5\nbeta=-2\n",
    "shortcut, smaller": CONV + "[conv]\nfilters=9\nsize=2\nstride=2\nactivation=linear\n[shortcut]\nfrom=0\nalpha=3\n",
    "shortcut, larger": "[conv]\nfilters=9\nsize=2\nstride=2\nactivation=linear\n[upsample]\n[conv]\nfilters=4\n"
                        "activation=linear\n[shortcut]\nfrom=0\nbeta=2\nalpha=.5\n",
    "shortcut, odd": "[conv]\nfilters=5\nsize=3\npad=1\nstride=2\n[conv]\nfilters=2\n[route]\nlayers=0\n"
                     "[conv]\nfilters=7\nsize=2\npadding=2\n[shortcut]\nfrom=1\n",
}
SMALL |= {
    "local": CONV + "[local]\nfilters=5\nsize=3\npad=1\nactivation=mish\n[local]\nfilters=4\nsize=2\nstride=2\n",
    "normalization": CONV + "[normalization]\nsize=5\nalpha=.3\nbeta=.75\nkappa=9\n[normalization]\nsize=4\nkappa=9\n",
    "scale_channels": CONV + "[avgpool]\n[conv]\nfilters=6\nactivation=logistic\n[scale_channels]\nfrom=0\n",
    "scale_channels, pixels": CONV + "[conv]\nfilters=1\n[scale_channels]\nfrom=0\nscale_wh=1\nactivation=swish\n",
    "sam": CONV * 2 + "[sam]\nfrom=0\n", "shortcut, several": CONV * 3 + "[shortcut]\nfrom=0,1\nbeta=.5\n",
}
SIZES = {"maxpool": (15, 9, 3), "upsample, back": (8, 10, 3), "shortcut, smaller": (8, 10, 3),
         "shortcut, larger": (8, 10, 3)}
DETECTORS = {
    "region": BODY.format(activation="leaky") + REGION.format(rescore=0),
    "region, independent classes": NET.format(w=9, h=7, c=3) + CONV + "[conv]\nfilters=16\nactivation=linear\n"
                                   "[region]\nnum=2\nclasses=3\nanchors=1,2,3,4\n",
    "region, offsets": BODY.format(activation="leaky") + REGION.format(rescore=0) + "direct_location=0\n",
    "yolo": NET.format(w=32, h=64, c=1) + CONV + "[conv]\nfilters=16\nsize=3\nstride=16\npad=1\nactivation=linear\n[yolo]\n"
            "mask=2,3\n" + YOLO + "[route]\nlayers=0\n[conv]\nfilters=8\nsize=3\nstride=8\npad=1\nactivation=linear\n"
            "[yolo]\nmask=1\n" + YOLO,
    "yolo of v4": NET.format(w=32, h=32, c=2) + CONV + "[conv]\nfilters=16\nsize=3\nstride=16\npad=1\nactivation=logistic\n"
                  "[yolo]\nmask=2,3\nnew_coords=1\nscale_x_y=2\n" + YOLO + "[route]\nlayers=0\n[conv]\nfilters=8\nsize=3\n"
                  "stride=8\npad=1\nactivation=linear\n[yolo]\nmask=1\nscale_x_y=1.1\n" + YOLO,
    "detection": NET.format(w=9, h=7, c=3) + CONV + "[connected]\noutput=117\nactivation=linear\n"
                 "[detection]\nside=3\nnum=2\nclasses=3\ncoords=4\nsqrt=1\n",
    "detection, softmax": NET.format(w=9, h=7, c=3) + CONV + "[connected]\noutput=117\nactivation=linear\n"
                          "[detection]\nside=3\nnum=2\nclasses=3\ncoords=4\nsoftmax=1\n",
}


def randomised(net):
    """The network with weights and statistics that are all different from the trivial ones."""
    rng = np.random.default_rng(7)
    for layer in net.layers:
        for stored in layer.stored:
            low, high = (.5, 1.5) if stored.name in ("scale", "rolling_variance") else (-.5, .5)
            stored.array[...] = rng.uniform(low, high, stored.array.shape)
    return net


def session(net, **options):
    """A function of x (b, h, w, c) that returns what ONNX Runtime computes, a dict by the outputs' names."""
    import onnx
    import onnxruntime
    data = onnx_export.model(net, **options)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [out.name for out in session.get_outputs()]
    return lambda x: dict(zip(names, session.run(None, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))}), strict=True))


def pictures(net, batch=2):
    return np.random.default_rng(3).random((batch, *net.input.shape), np.float32)


def as_ours(out):
    return out.transpose(0, 2, 3, 1) if out.ndim == 4 else out


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_layers(name, strict):
    w, h, c = SIZES.get(name, (11, 9, 3))
    text = NET.format(w=w, h=h, c=c) + SMALL[name]
    net = randomised(Network.from_string(text, backend="kernels", strict_darknet_cpu=strict))
    run, x = session(net), pictures(net)
    out = net.predict(x)
    np.testing.assert_allclose(as_ours(run(x)["out"]), out, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(as_ours(run(x[:1])["out"]), out[:1], atol=1e-4, rtol=1e-4)  # any batch


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_activations(name):
    net = Network.from_string(NET.format(w=41, h=2, c=2) + f"[activation]\nactivation={name}\n", backend="kernels")
    x = np.linspace(-6.05, 6.1, 164, dtype=np.float32).reshape(1, 2, 41, 2)
    np.testing.assert_allclose(as_ours(session(net)(x)["out"]), net.predict(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("stride, reverse", [(2, 0), (3, 0), (2, 1)])
def test_reorg_is_darknets(stride, reverse):
    """Exactly, as it only moves numbers; a textbook space-to-depth would be seen."""
    net = Network.from_string(NET.format(w=6, h=12, c=36) + f"[reorg]\nstride={stride}\nreverse={reverse}\n",
                              backend="kernels")
    x = pictures(net)
    out = session(net)(x)["out"].transpose(0, 2, 3, 1)
    assert np.array_equal(out, net.predict(x))
    if not reverse:
        blocks = x.reshape(2, 12 // stride, stride, 6 // stride, stride, 36).transpose(0, 1, 3, 2, 4, 5)
        assert not np.allclose(out, blocks.reshape(out.shape))


@pytest.mark.parametrize("name", DETECTORS)
def test_heads_raw_and_decoded(name):
    net = randomised(Network.from_string(DETECTORS[name], backend="kernels", fused=False))
    x = pictures(net)
    boxes, objectness, probability = net.boxes(net.predict(x))
    for head, raw in zip(net.heads, session(net)(x).values(), strict=True):
        np.testing.assert_allclose(as_ours(raw), head.sources[0].out, atol=1e-4, rtol=1e-4)
    found = session(net, decode=True)(x)
    assert list(found) == ["boxes", "objectness", "probability"]
    for mine, theirs in zip((boxes, objectness, probability), found.values()):
        assert mine.shape == theirs.shape and mine.std() > 0
        np.testing.assert_allclose(theirs, mine, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["classifier", "connected", "passthrough", "residual", "twoheads"])
def test_darknets_own_outputs(name):
    """What the original program computed from these weights, from the ONNX model."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        x, y = file["x"], file["y"]
    net = Network.from_cfg(GOLDEN / f"{name}.cfg", weights=GOLDEN / f"{name}.weights", strict_darknet_cpu=True)
    net.resize(x.shape[:0:-1])
    out = list(session(net)(x.transpose(1, 2, 0)[None]).values())[-1]   # Darknet gives the last head's
    if net.detects:
        head, raw = net.head, np.ascontiguousarray(out.transpose(0, 2, 3, 1))
        activated = np.empty_like(raw)
        head.activate(raw, activated)
        out = activated.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(out.ravel(), y.ravel(), atol=1e-5)


@pytest.mark.parametrize("name", ["yolov2-nano", "yolov3-tiny", "tiny"])
def test_bundled_networks(name):
    net = Network.from_cfg(f"cfg/{name}.cfg", overrides={"net.width": 96, "net.height": 64}, backend="kernels")
    x, found = pictures(net, 1), session(net, decode=net.detects)
    outs = net.boxes(net.predict(x)) if net.detects else (net.predict(x),)
    for mine, theirs in zip(outs, found(x).values(), strict=True):
        np.testing.assert_allclose(theirs, mine, atol=1e-4, rtol=1e-4)


def test_every_layer_is_tried():
    """Whoever adds a writer adds a case above."""
    tried = {layer.name for text in SMALL.values() for layer in Network.from_string(NET.format(w=12, h=12, c=4) + text,
                                                                                   arrays=False).layers}
    assert tried | {"reorg"} >= set(onnx_export.WRITERS) and set(onnx_export.WRITERS) <= set(LAYERS)


def test_what_cannot_be_written(monkeypatch):
    net = Network.from_string(NET.format(w=8, h=8, c=3) + CONV + "[avgpool]\n[softmax]\n")
    with pytest.raises(UsageError, match="ends in .softmax., it classifies and finds no boxes: leave out --decode"):
        onnx_export.model(net, decode=True)
    monkeypatch.delitem(onnx_export.WRITERS, "avgpool")
    with pytest.raises(UsageError, match="layer 1 .avgpool. cannot be written as ONNX; what can: activation, batchnorm"):
        onnx_export.model(net)
    monkeypatch.setattr(onnx_export, "MOST", 100)
    with pytest.raises(MinidarknetError, match="ONNX holds at most 100"):
        onnx_export.model(Network.from_string(NET.format(w=8, h=8, c=3) + CONV))
    behind = Network.from_string(NET.format(w=8, h=8, c=3) + CONV + "[cost]\n[maxpool]\nsize=2\n")
    with pytest.raises(UsageError, match="layer 2 .maxpool. cannot be written"):
        onnx_export.model(behind)


def test_the_command(tmp_path, capsys):
    net = randomised(Network.from_string(DETECTORS["region"]))
    (tmp_path / "a.cfg").write_text(DETECTORS["region"])
    (tmp_path / "a.names").write_text("one\ntwo\nthree\n")
    weights.save(net, tmp_path / "a.weights")
    words = ["convert", *(str(tmp_path / name) for name in ("a.cfg", "a.weights", "a.onnx"))]
    assert cli.main([*words, "--decode", "--size", "32x48"]) == 0
    assert "x (batch, 3, 48, 32) in 0..1 -> boxes (batch, n, 4)" in capsys.readouterr().out
    import onnx
    model = onnx.load(tmp_path / "a.onnx")
    assert [p.value for p in model.metadata_props if p.key == "names"] == ["one\ntwo\nthree"]
    import onnxruntime
    net.resize((32, 48))
    x = pictures(net)
    found = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"x": x.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(found[0], net.boxes(net.predict(x))[0], atol=1e-4)
    assert cli.main(words) == 0 and "raw (batch, 16, 4, 4), before the head" in capsys.readouterr().out


def test_without_the_package(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert cli.main(["convert", "cfg/tiny.cfg", "none.weights", str(tmp_path / "a.onnx")]) == 2
    assert capsys.readouterr().err == 'error: a model needs the package onnx: pip install "minidarknet[onnx]"\n'
