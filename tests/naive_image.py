"""NumPy counterparts of kernels/image.py, written from the formulas: slow, short, in float64."""
import colorsys

import numpy as np


def resize(picture, height, width):
    """Corners aligned, linear: sample picture (H, W, 3) at y (H-1)/(h-1), x (W-1)/(w-1) -> (height, width, 3)."""
    picture = np.asarray(picture, np.float64)
    ys = np.linspace(0, picture.shape[0] - 1, height)
    xs = np.linspace(0, picture.shape[1] - 1, width) if width > 1 else np.array([picture.shape[1] - 1.0])
    across = np.stack([[np.interp(xs, np.arange(picture.shape[1]), row[:, c]) for c in range(3)] for row in picture])
    return np.stack([[np.interp(ys, np.arange(picture.shape[0]), across[:, c, x]) for c in range(3)]
                     for x in range(width)], 0).transpose(2, 0, 1)


def _sample(picture, y, x, strict):
    """Bilinear between the four neighbours; beyond the picture 0 (strict) or the nearest pixel."""
    value = np.zeros(3)
    y0, x0 = int(np.floor(y)), int(np.floor(x))
    for yy, wy in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
        for xx, wx in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
            inside = yy < picture.shape[0] and xx < picture.shape[1]
            if inside or not strict:
                value += wy * wx * picture[min(yy, picture.shape[0] - 1), min(xx, picture.shape[1] - 1)]
    return value


def place(picture, canvas, new_width, new_height, left, top, fill, flip, strict):
    """Pixel by pixel -> (h, w, 3) float64; canvas: (h, w)."""
    picture = np.asarray(picture, np.float64)
    out = np.full((*canvas, 3), float(fill))
    for y in range(new_height):
        for x in range(new_width):
            if 0 <= y + top < canvas[0] and 0 <= x + left < canvas[1]:
                out[y + top, x + left] = _sample(picture, y / new_height * picture.shape[0],
                                                 x / new_width * picture.shape[1], strict)
    return out[:, ::-1] if flip else out


def window(picture, height, width, turn, scale, right, down, aspect):
    """By a matrix from the window's middle to the picture's, on a picture with a rim of zeros -> (h, w, 3) float64."""
    rim = np.pad(np.asarray(picture, np.float64), ((1, 2), (1, 2), (0, 0)))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = np.array(picture.shape[1::-1])
    out = np.empty((height, width, 3))
    for y, x in np.ndindex(height, width):
        at = turned @ (np.array([x - width / 2 + right, y - height / 2 + down]) / scale * [aspect, 1]) + shape / 2
        x0, y0 = np.floor(np.clip(at, -1, shape)).astype(int) + 1
        dx, dy = np.clip(at, -1, shape) + 1 - (x0, y0)
        out[y, x] = ((1 - dy) * ((1 - dx) * rim[y0, x0] + dx * rim[y0, x0 + 1])
                     + dy * ((1 - dx) * rim[y0 + 1, x0] + dx * rim[y0 + 1, x0 + 1]))
    return out


def distort(x, hue, saturation, exposure):
    """Through the standard library's colorsys -> (h, w, 3) float64."""
    out = np.empty(x.shape)
    for index in np.ndindex(x.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*map(float, x[index]))
        out[index] = colorsys.hsv_to_rgb((h + hue) % 1.0, s * saturation, v * exposure)
    return out.clip(0, 1)
