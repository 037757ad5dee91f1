"""Activation functions that are curves, a register at a time: mish and swish, from an exponential of our own.

e^x = 2^n * e^r with n = x / ln 2 rounded and |r| <= ln 2 / 2, where six terms of the series, with coefficients that spread
the error evenly (Cephes, S. Moshier: expf), are exact to the last digit or two of a float32 number. In kernels/ the same
functions are written with NumPy's.
"""
import numpy as np

from minidarknet.engine.vector import ZERO, power_of_two, splat, where_greater
from minidarknet.kernels._jit import jit
from minidarknet.kernels.activations import MISH, SWISH

CURVES = (MISH, SWISH)

ONE, TWO = np.float32(1), np.float32(2)
LOWEST, HIGHEST = np.float32(-87), np.float32(88)   # beyond, e^x is not a normal float32 number
ROUNDING = np.float32(1.5 * 2**23)                  # adding it leaves no digits behind the point
PER_OCTAVE = np.float32(1.44269504088896341)        # 1 / ln 2
OCTAVE = np.float32(.693359375)                     # ln 2, the part that n multiplies exactly, and the rest of it
OCTAVE_REST = np.float32(-2.12194440e-4)
C2, C3, C4 = np.float32(5.0000001201e-1), np.float32(1.6666665459e-1), np.float32(4.1665795894e-2)
C5, C6, C7 = np.float32(8.3334519073e-3), np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)
SATURATED = np.float32(20)                          # from here on mish is x


@jit
def exponential(x):
    """e^x of a vector, x being taken as -87 below that and as 88 above it. NaN stays NaN."""
    x = where_greater(splat(LOWEST), x, splat(LOWEST), x)
    x = where_greater(x, splat(HIGHEST), splat(HIGHEST), x)
    shifted = x * splat(PER_OCTAVE) + splat(ROUNDING)
    n = shifted - splat(ROUNDING)
    r = x - n * splat(OCTAVE) - n * splat(OCTAVE_REST)
    series = splat(C7) * r + splat(C6)
    series = series * r + splat(C5)
    series = series * r + splat(C4)
    series = series * r + splat(C3)
    series = series * r + splat(C2)
    return (series * r * r + r + splat(ONE)) * power_of_two(shifted)


@jit
def logistic(u):
    """sigma(u) = 1 / (1 + e^-u) of a vector. NaN stays NaN."""
    return splat(ONE) / (splat(ONE) + exponential(splat(ZERO) - u))


@jit
def curve(u, kind):
    """f(u) of a vector; kind: one of CURVES."""
    if kind == MISH:
        e = exponential(where_greater(u, splat(SATURATED), splat(SATURATED), u))
        w = e * (e + splat(TWO))
        return u * (w / (w + splat(TWO)))  # u tanh(log(1 + e^u))
    return u / (splat(ONE) + exponential(splat(ZERO) - u))


@jit
def curve_slope(u, kind):
    """f'(u) of a vector; kind: one of CURVES."""
    one = splat(ONE)
    if kind == MISH:
        e = exponential(where_greater(u, splat(SATURATED), splat(SATURATED), u))
        w = e * (e + splat(TWO))
        rest = one / (w + splat(TWO))
        t = w * rest
        # forward: f = u t, t = tanh(log(1 + e)); 1 - t^2 = (1 + t) * 2 rest loses no digits
        return t + u * (one + t) * splat(TWO) * rest * (e / (one + e))
    p = logistic(u)
    return p + u * p * (one - p)
