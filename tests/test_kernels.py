"""What holds for all kernels: flat names, plain Python with the JIT off, and a gradient check that can say no."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gradcheck import GradientMismatch, check_gradient

from minidarknet import kernels

TESTS = Path(__file__).parent


def test_flat_names():
    assert kernels.FRAMED is False
    assert all(callable(getattr(kernels, name)) for name in kernels.__all__ if name != "FRAMED")
    assert kernels.__all__ == sorted(kernels.__all__)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="this is the inner run")
def test_plain_python():
    """The tests marked plain once more, with every kernel an ordinary function that a debugger can step through."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    files = [str(path) for path in sorted(TESTS.glob("test_*.py")) if "mark.plain" in path.read_text()]
    run = subprocess.run([sys.executable, "-m", "pytest", "-m", "plain", "-p", "no:cacheprovider", *files],
                         cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert " passed" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("mistake, hint", [
    (lambda g: -g, "wrong sign"),
    (lambda g: 2 * g, "2 times too large"),
    (lambda g: g * (np.arange(12).reshape(3, 4) > 3), "never reached"),
    (lambda g: g[::-1], "in other places"),
    (lambda g: g / 0, "not finite"),
    (lambda g: g + .1 * np.sin(np.arange(12).reshape(3, 4)), "a term is missing"),
])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_gradient_check_teaches(rng, mistake, hint):
    x = rng.standard_normal((3, 4))
    check_gradient(lambda: np.sum(x ** 3), x, 3 * x ** 2)
    with pytest.raises(GradientMismatch, match=hint):
        check_gradient(lambda: np.sum(x ** 3), x, mistake(3 * x ** 2))


def test_the_gradient_check_sees_what_it_did_not_sample(rng):
    """Sixty elements of 10,000 are tried one by one; the random directions catch a wrong one among the others."""
    x = rng.standard_normal((100, 100))
    wrong = 2 * x
    wrong[np.abs(x) < .5] = 0
    with pytest.raises(GradientMismatch):
        check_gradient(lambda: np.sum(x ** 2), x, wrong)
