"""Winograd's convolution: its matrices, its tiles, and every shape against the kernels."""
import ctypes
from fractions import Fraction

import naive
import numpy as np
import pytest
from conftest import margin_is_zero
from test_engine import Case, check_numeric_derivative, close

from minidarknet import engine, kernels
from minidarknet.engine import memory, winograd, winograd_plan, winograd_weight_gradient
from minidarknet.engine.algorithm import use_winograd, winograd_possible
from minidarknet.engine.tiling import _count, arrangement, count_products, count_tiles, tiles_at, tiling
from minidarknet.engine.vector import LANES, load_all, store_all
from minidarknet.kernels._jit import jit

POINTS = [Fraction(p) for p in (0, 1, -1, Fraction(1, 2), -2)]  # and infinity
TOLERANCE = 1e-5  # relative to the largest result; direct convolution: 2e-6

# b, h, w, c, f: remainders of tiles, registers, blocks and slices; the first layer; heads; multi-scale grids
SHAPES = [(1, 4, 4, 16, 16), (1, 1, 1, 5, 3), (2, 5, 3, 3, 70), (1, 16, 12, 125, 33), (3, 7, 9, 17, 125), (8, 2, 3, 20, 20),
          (2, 13, 13, 130, 65), (1, 9, 30, 64, 128), (4, 21, 22, 8, 12)]
SHAPES += [(b, grid, grid, 18, 34) for b in (1, 4) for grid in range(10, 20)]
CUTS = [(1, 60, 61, 70, 20), (8, 26, 26, 40, 150), (2, 104, 100, 20, 40), (1, 76, 75, 250, 70),
        (4, 104, 104, 8, 70)]  # many chunks


def case_of(rng, shape, **kwargs):
    return Case(rng, (*shape, 3, 1, 1, 1), algorithm="winograd", **kwargs)


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


def polynomial(roots):
    """Coefficients of the product of (x - root), lowest power first, as Fractions."""
    product = [Fraction(1)]
    for root in roots:
        product = [a - root * b for a, b in zip([Fraction(0), *product], [*product, Fraction(0)], strict=True)]
    return product


def matrices():
    """(B^T, G, A^T) of F(4, 3) from the points alone: Toom and Cook's construction, exact."""
    others = [[q for q in POINTS if q != p] for p in POINTS]
    pixels = [[*polynomial(rest), Fraction(0)] for rest in others] + [polynomial(POINTS)]
    distance = [np.prod([p - q for q in rest]) for p, rest in zip(POINTS, others, strict=True)]
    taps = [[p ** k / d for k in range(3)] for p, d in zip(POINTS, distance, strict=True)] + [[0, 0, 1]]
    results = [[p ** i for p in POINTS] + [Fraction(int(i == 3))] for i in range(4)]
    return tuple(np.array(m, np.float64) for m in (pixels, taps, results))


@jit
def six(values, target):
    for i, value in enumerate(values):
        store_all(target + 4 * LANES * i, value)


@jit
def pixels_line(a, out):
    s = 4 * LANES
    six(winograd.pixels_line(load_all(a), load_all(a + s), load_all(a + 2 * s), load_all(a + 3 * s), load_all(a + 4 * s),
                             load_all(a + 5 * s)), out)


@jit
def taps_line(a, out):
    s = 4 * LANES
    six(winograd.taps_line(load_all(a), load_all(a + s), load_all(a + 2 * s)), out)


@jit
def results_line(a, out):
    s = 4 * LANES
    six(winograd.results_line(load_all(a), load_all(a + s), load_all(a + 2 * s), load_all(a + 3 * s),
                              load_all(a + 4 * s), load_all(a + 5 * s)), out)


@jit
def gradients_line(a, out):
    s = 4 * LANES
    six(winograd.gradients_line(load_all(a), load_all(a + s), load_all(a + 2 * s), load_all(a + 3 * s)), out)


@jit
def weights_line(a, out):
    s = 4 * LANES
    six(winograd.weights_line(load_all(a), load_all(a + s), load_all(a + 2 * s), load_all(a + 3 * s),
                              load_all(a + 4 * s), load_all(a + 5 * s)), out)


def test_the_lines_are_the_matrices():
    pixels, taps, results = matrices()
    pairs = [(pixels_line, pixels), (taps_line, taps), (results_line, results), (gradients_line, results.T),
             (weights_line, taps.T)]
    for line, matrix in pairs:
        rows, columns = matrix.shape
        for j in range(columns):
            unit, out = np.zeros((columns, LANES), np.float32), np.full((rows, LANES), np.nan, np.float32)
            unit[j] = 1
            line(unit.ctypes.data, out.ctypes.data)
            np.testing.assert_allclose(out, np.repeat(matrix[:, j:j + 1], LANES, axis=1), rtol=2e-7, atol=0)


def test_the_matrices_convolve(rng):
    """y = A^T [(G g) . (B^T d)] is the correlation of d with g, in float64 to the last digit."""
    pixels, taps, results = matrices()
    d, g = rng.standard_normal(6), rng.standard_normal(3)
    np.testing.assert_allclose(results @ ((taps @ g) * (pixels @ d)), np.correlate(d, g), rtol=1e-12)


def test_agrees_with_the_kernels(rng, shape):
    check_agrees(rng, shape)


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_agrees_with_the_kernels_in_many_chunks(rng, cut):
    check_agrees(rng, cut)


def check_agrees(rng, shape):
    """All three operations and their accumulation against the kernels in float64."""
    case = case_of(rng, shape)
    found, start = case.all(), np.ones(case.x.shape, np.float32)
    added, more = case.data(start=start), case.weights(start=7)
    expected = case.in_float64().all(kernels)
    for name, ours, theirs in zip(("forward", "data", "weight"), found, expected, strict=True):
        assert close(ours, theirs, TOLERANCE), name
    assert close(added, 1 + expected[1], TOLERANCE), "the data gradient accumulates"
    assert close(more, 7 + expected[2], TOLERANCE), "the weight gradient accumulates"


def test_agrees_with_the_naive_counterpart(rng, shape):
    case = case_of(rng, shape)
    out, grad_x, grad_weight = case.all()
    case.in_float64()
    assert close(out, naive.convolution(case.x, case.weight, *case.how), TOLERANCE)
    assert close(grad_x, naive.convolution_grad_x(case.grad_out, case.weight, case.x.shape, *case.how), TOLERANCE)
    assert close(grad_weight, naive.convolution_grad_weight(case.x, case.grad_out, 3, *case.how), TOLERANCE)


def test_margins_stay_zero_and_may_be_wider(rng, shape):
    tight, wide = case_of(np.random.default_rng(1), shape), case_of(np.random.default_rng(1), shape, spare=2)
    for a, b in zip(tight.all(), wide.all(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert margin_is_zero(wide.forward())
    assert margin_is_zero(wide.data())


@pytest.mark.parametrize("mistake", [None, "sign", "flip", "shift"])
def test_numeric_derivative(rng, mistake):
    check_numeric_derivative(rng, case_of(rng, (2, 9, 6, 12, 20)), mistake)


@pytest.mark.parametrize("shape", [(8, 13, 13, 130, 140), *CUTS], ids=str)
def test_same_bits_on_one_and_two_threads(shape, same_bits):
    same_bits(case_of(np.random.default_rng(2), shape).all)


@pytest.mark.parametrize("cut", [(8, 26, 26, 40, 150), (12, 13, 13, 130, 140)], ids=str)
def test_same_bits_in_waves_of_any_size(cut, monkeypatch):
    def bits():
        winograd_plan.plan_convolution.cache_clear()
        return [array.tobytes() for array in case_of(np.random.default_rng(5), cut).all()]

    waves = []
    cut_into = winograd_plan.chunks_of_wave

    def counted(chunks, *rest):
        waves.append((chunks, cut_into(chunks, *rest)))
        return waves[-1][1]
    for module in (winograd_plan, winograd_weight_gradient):
        monkeypatch.setattr(module, "chunks_of_wave", counted)
    whole = bits()
    monkeypatch.setattr(winograd_plan, "WAVE", 1)
    monkeypatch.setattr(winograd_plan, "TASKS_OF_WAVE", 0)
    waves.clear()
    assert bits() == whole
    assert any(chunks > wave == 1 for chunks, wave in waves)


@pytest.mark.parametrize("wave", [None, 1, 2])
def test_the_weight_gradient_in_one_share(rng, monkeypatch, wave):
    """Several chunks and blocks of filters in one task's share, V its own (None) or in waves, as layers of a thousand
    filters have it: each chunk counts once."""
    case, cuts = case_of(rng, (9, 24, 26, 40, 70)), []
    cut = winograd_weight_gradient._cut
    monkeypatch.setattr(winograd_weight_gradient, "TASKS", 1)
    monkeypatch.setattr(winograd_weight_gradient, "_cut", lambda *sizes: cuts.append(cut(*sizes)) or cuts[-1])
    if wave:
        monkeypatch.setattr(winograd_weight_gradient, "LEAST_TILES", 10 ** 6)
        monkeypatch.setattr(winograd_weight_gradient, "chunks_of_wave", lambda *_: wave)
    found = case.weights(start=2)
    (chunk, _, _, parts, _, shared), = cuts
    assert parts == 1 and shared == (wave is not None)
    assert count_tiles(9, 24, 26) > (wave or 1) * chunk
    assert close(found, 2 + case.in_float64().weights(kernels), TOLERANCE)


def test_large_then_small_then_large_again(rng):
    """The working memory is reused: what an earlier call left there must not show."""
    cases = [case_of(rng, shape) for shape in (CUTS[0], SHAPES[1], SHAPES[6])]
    first = [a.tobytes() for case in cases for a in case.all()]
    assert first == [a.tobytes() for case in cases for a in case.all()]


def test_pixels_are_transformed_by_tasks_or_for_all():
    def shared(tiles, *shape):
        return winograd_plan.plan_tiles(tiles, *shape)[3]
    assert {shared(count_tiles(*cut[:3]), *cut[3:]) for cut in CUTS} == {True, False}, "both ways are tested"
    assert winograd_plan.plan_tiles(52 * 52, 16, 32)[0] == 169, "16 tasks, though the cache holds more"
    assert shared(16 * 40 - 1, 16, 32) and not shared(16 * 40, 16, 32)


def test_pictures_share_tiles_where_that_saves_any():
    assert arrangement(8, 13, 13, joined=True) == (2, True)
    assert count_tiles(8, 13, 13) == 14 * 7
    assert count_products(8, 13, 13) == (13 * 6 + 5) * (6 * 6 + 5), "55 x 27 lines"
    assert count_tiles(8, 12, 12) == 8 * 9
    assert arrangement(8, 12, 12, joined=True) == (1, False)
    assert arrangement(8, 13, 13, joined=False) == (1, False)
    assert arrangement(8, 13, 13, joined=True, pool=True) == (1, False), "windows are not cut"


@pytest.mark.parametrize("lines,products", [(1, 5), (2, 5), (3, 5), (4, 6), (5, 10), (6, 10), (7, 11), (10, 16), (13, 21),
                                            (16, 24), (17, 27)])
def test_short_tiles_save_products(lines, products):
    """17 = 4 + 4 + 3 + 3 + 3 lines: 6 + 6 + 5 + 5 + 5 products."""
    assert count_products(1, lines, lines) == products ** 2
    assert count_products(1, lines, 4) == 6 * products


@pytest.mark.parametrize("shape", [(1, 13, 13), (1, 16, 16), (1, 3, 21), (8, 13, 13), (3, 5, 6)], ids=str)
@pytest.mark.parametrize("joined,pool", [(True, 0), (False, 0), (False, 1)])
def test_tiles_that_need_a_product_follow_each_other(shape, joined, pool):
    """tiles_at names them all, and none beside them: a tile needs the last row's products where it writes four rows."""
    b, h, w = shape
    t = tiling(b, h, w, 100000, 1000, 10, 100000, 1000, 10, joined, pool)
    writes = (ctypes.c_int64 * (2 * t.tiles)).from_address(t.writes)
    needs = np.array([[(ctypes.c_int64 * 4).from_address(table)[3] >= 0 for table in writes[2 * i:2 * i + 2]]
                      for i in range(t.tiles)])  # rows, columns
    total = 0
    for value in range(36):
        first, last = tiles_at.py_func(t, value)
        numbers = np.arange(t.tiles)
        found = (numbers >= first) & (numbers < last)
        needed = (needs[:, 0] | (value // 6 < 5)) & (needs[:, 1] | (value % 6 < 5))
        assert (found >= needed).all(), value
        total += found.sum()
    assert total == _count(b, h, w, *arrangement(b, h, w, joined, bool(pool)), pool)[1]


def test_left_out_products_do_not_matter(rng):
    """What the working memory holds in their place, NaN even, reaches no result."""
    case = case_of(rng, (1, 13, 13, 70, 70))
    first = [a.tobytes() for a in case.all()]
    memory._kept.memory[:] = 255  # NaN, as float32
    assert first == [a.tobytes() for a in case.all()]


def test_the_rule():
    assert use_winograd("auto", 3, 1, 1, 1, 1, 13, 13, 512, 1024)
    assert use_winograd("auto", 3, 1, 1, 1, 8, 52, 52, 64, 128)
    assert not use_winograd("auto", 3, 1, 1, 1, 1, 416, 416, 3, 16), "three channels are too few"
    assert not use_winograd("auto", 3, 1, 1, 1, 1, 1, 1, 512, 512), "one pixel of a tile of sixteen"
    assert not use_winograd("direct", 3, 1, 1, 1, 1, 13, 13, 512, 1024)
    assert use_winograd("winograd", 3, 1, 1, 1, 1, 1, 1, 1, 1)
    for k, stride, pad, groups in ((1, 1, 0, 1), (3, 2, 1, 1), (3, 1, 0, 1), (3, 1, 1, 2), (5, 1, 2, 1)):
        assert not winograd_possible(k, stride, pad, groups)
        assert not use_winograd("winograd", k, stride, pad, groups, 1, 13, 13, 512, 1024)


def test_auto_is_one_of_the_two(rng):
    for shape, chosen in (((2, 13, 13, 64, 64), "winograd"), ((1, 13, 13, 3, 16), "direct")):
        case = Case(rng, (*shape, 3, 1, 1, 1), algorithm="auto")
        automatic = [a.tobytes() for a in case.all()]
        case.algorithm = chosen
        assert automatic == [a.tobytes() for a in case.all()]
    assert callable(engine.convolutional_measure)
