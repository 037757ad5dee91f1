"""Pictures for the network: resize, place on a canvas, shift the colours.

One thread per picture and no lock held: several loader threads work side by side while the network trains.
Pictures are (h, w, 3), RGB; `white` is the value that becomes 1: 255 for uint8, 1 for pictures already in 0..1.
Numbers are float32 and computed in Darknet's order, so that the result equals its result where it is meant to.
"""
import numpy as np

from minidarknet.kernels._jit import jit


@jit
def resize_darknet(picture, out, white, strict):
    """Resize with corners aligned: out[y, x] = picture[y (H-1)/(h-1), x (W-1)/(w-1)], between pixels linearly.

    Separable, horizontally first; no smoothing when shrinking.
    picture: (H, W, 3) uint8 or float32. out: (h, w, 3) float32, 0..1, *written*; may be a view.
    white: float, the value in `picture` that becomes 1. strict: bool; True repeats Darknet's two accidents: the last
    row comes out black for some pairs of heights (it never adds the lower source row there), and h = 1 gives NaN.

    Darknet: src/image.c, resize_image.
    """
    height, width = picture.shape[0], picture.shape[1]
    new_height, new_width = out.shape[0], out.shape[1]
    one = np.float32(1)
    scale_x = np.float32(width - 1) / np.float32(max(new_width - 1, 1))
    scale_y = np.float32(height - 1) / np.float32(new_height - 1) if new_height > 1 else np.float32(0)
    if strict and new_height == 1:
        out[:, :, :] = np.nan
        return
    column = np.empty(new_width, np.int64)      # left source column of each output column
    beyond = np.empty(new_width, np.float32)    # how far beyond it, 0..1
    for x in range(new_width):
        at = np.float32(x) * scale_x
        column[x] = min(int(at), width - 1)
        beyond[x] = at - np.float32(column[x])
    column[new_width - 1] = width - 1
    beyond[new_width - 1] = 0
    rows = np.empty((2, new_width, 3), np.float32)  # two source rows, resized horizontally: row r in rows[r % 2]
    held = np.full(2, -1)
    for y in range(new_height):
        at = np.float32(y) * scale_y
        top = min(int(at), height - 1)
        down = at - np.float32(top)
        if y == new_height - 1 and not strict:
            top, down = (height - 1 if new_height > 1 else 0), np.float32(0)
        bottom = min(top + 1, height - 1)
        for r in (top, bottom):
            if held[r % 2] != r:
                held[r % 2] = r
                row = rows[r % 2]
                for x in range(new_width):
                    left, right, dx = column[x], min(column[x] + 1, width - 1), beyond[x]
                    for c in range(3):
                        row[x, c] = ((one - dx) * (np.float32(picture[r, left, c]) / np.float32(white))
                                     + dx * (np.float32(picture[r, right, c]) / np.float32(white)))
        upper, lower = rows[top % 2], rows[bottom % 2]
        if y == new_height - 1:  # strict: the lower row is never added; otherwise its share is 0
            for x in range(new_width):
                for c in range(3):
                    out[y, x, c] = (one - down) * upper[x, c]
        else:
            for x in range(new_width):
                for c in range(3):
                    out[y, x, c] = (one - down) * upper[x, c] + down * lower[x, c]


@jit
def _sources(new, old, start, count, flip, strict, first, second, share):
    """For each of `count` canvas places along one side: the two source pixels and the share (0..1) of the second.

    first -1: outside the placed picture; second -1: Darknet's zero beyond the last pixel. first, second (count,)
    int64 and share (count,) float32 are *written*.
    """
    for place in range(count):
        at = count - 1 - place if flip else place
        at -= start
        first[place] = -1
        if 0 <= at < new:
            source = np.float32(at) / np.float32(new) * np.float32(old)
            first[place] = min(int(source), old - 1)
            share[place] = source - np.float32(first[place])
            second[place] = first[place] + 1
            if second[place] == old:
                second[place] = -1 if strict else old - 1


@jit
def place(picture, out, new_width, new_height, left, top, fill, flip, white, strict):
    """Lay a picture, resized to new_width x new_height, on a canvas at (left, top); mirror the canvas if asked.

    out[y, x] = picture[(y - top) H / new_height, (x - left) W / new_width], between pixels linearly; `fill` elsewhere.
    picture: (H, W, 3) uint8 or float32. out: (h, w, 3) float32, 0..1, *written*. new_width, new_height, left, top:
    int, canvas pixels; the picture may stick out of the canvas on any side. fill: float, 0..1. flip: bool, left and
    right are exchanged after placing. white: float, the value in `picture` that becomes 1. strict: bool; True takes 0
    for pixels beyond the last column and row, as Darknet does (they fade to black there), else the last are repeated.

    Darknet: src/image.c, place_image.
    """
    height, width = picture.shape[0], picture.shape[1]
    out_height, out_width = out.shape[0], out.shape[1]
    x0, x1, dx = np.empty(out_width, np.int64), np.empty(out_width, np.int64), np.empty(out_width, np.float32)
    y0, y1, dy = np.empty(out_height, np.int64), np.empty(out_height, np.int64), np.empty(out_height, np.float32)
    _sources(new_width, width, left, out_width, flip, strict, x0, x1, dx)
    _sources(new_height, height, top, out_height, False, strict, y0, y1, dy)
    one, grey, scale = np.float32(1), np.float32(fill), np.float32(1 / white)
    for y in range(out_height):
        for x in range(out_width):
            if y0[y] < 0 or x0[x] < 0:
                out[y, x, 0] = grey
                out[y, x, 1] = grey
                out[y, x, 2] = grey
                continue
            # A neighbour that does not exist (-1) counts as 0: its share vanishes, the index is only kept legal.
            down = dy[y] if y1[y] >= 0 else np.float32(0)
            right = dx[x] if x1[x] >= 0 else np.float32(0)
            above, before = (one - dy[y]) * scale, one - dx[x]
            below = down * scale
            lower, after = max(y1[y], 0), max(x1[x], 0)
            for c in range(3):
                out[y, x, c] = (above * (before * np.float32(picture[y0[y], x0[x], c])
                                         + right * np.float32(picture[y0[y], after, c]))
                                + below * (before * np.float32(picture[lower, x0[x], c])
                                           + right * np.float32(picture[lower, after, c])))


@jit
def window(picture, out, turn, scale, right, down, aspect, flip, white):
    """A turned window of a picture, resized: the middle of `out` is (right, down) pixels off the middle of the picture.

        u = aspect (x - w/2 + right) / scale,  v = (y - h/2 + down) / scale
        out[y, x] = picture[u sin + v cos + H/2, u cos - v sin + W/2], between pixels linearly; 0 outside

    picture: (H, W, 3) uint8 or float32. out: (h, w, 3) float32, 0..1, *written*. turn: float, radians. scale: float,
    pixels of `out` for one of the picture. right, down: float, pixels of `out`. aspect: float, factor. flip: bool, left
    and right are exchanged. white: float, the value in `picture` that becomes 1.

    Darknet: src/image.c, rotate_crop_image.
    """
    height, width = picture.shape[0], picture.shape[1]
    out_height, out_width = out.shape[0], out.shape[1]
    cos, sin, one, light = np.float32(np.cos(turn)), np.float32(np.sin(turn)), np.float32(1), np.float32(1 / white)
    step_u, step_v = np.float32(aspect / scale), np.float32(1 / scale)
    first_u, first_v = np.float32(right - out_width / 2), np.float32(down - out_height / 2)
    middle_x, middle_y = np.float32(width / 2), np.float32(height / 2)
    for y in range(out_height):
        v = (np.float32(y) + first_v) * step_v
        for x in range(out_width):
            u = (np.float32(out_width - 1 - x if flip else x) + first_u) * step_u
            at_x, at_y = cos * u - sin * v + middle_x, sin * u + cos * v + middle_y
            x0, y0 = int(np.floor(at_x)), int(np.floor(at_y))
            dx, dy = at_x - np.float32(x0), at_y - np.float32(y0)
            for c in range(3):
                total = np.float32(0)
                for j in range(2):
                    if 0 <= y0 + j < height:
                        share_y = dy if j else one - dy
                        for i in range(2):
                            if 0 <= x0 + i < width:
                                share_x = dx if i else one - dx
                                total += share_y * share_x * np.float32(picture[y0 + j, x0 + i, c])
                out[y, x, c] = total * light


@jit
def distort(x, hue, saturation, exposure):
    """Shift the hue, stretch saturation and brightness of a picture, in HSV: h + hue, s saturation, v exposure.

    With v the largest of r, g, b, m the smallest and h in sixths of the circle, the way back is
    channel(n) = v - v s max(0, min(k, 4 - k, 1)), k = (n + h) mod 6, n = 5, 3, 1 for red, green, blue.
    x: (h, w, 3) float32, 0..1, *written* in place, clipped to 0..1. hue: float, fraction of the circle, -1..1.
    saturation, exposure: float factors, >= 0.

    Darknet: src/image.c, distort_image. Grey pixels have no hue: 0 is taken, where Darknet has a harmless NaN.
    """
    height, width = x.shape[0], x.shape[1]
    zero, one, four, six = np.float32(0), np.float32(1), np.float32(4), np.float32(6)
    turn, saturation, exposure = np.float32(6 * hue), np.float32(saturation), np.float32(exposure)
    for row in range(height):
        for column in range(width):
            r, g, b = x[row, column, 0], x[row, column, 1], x[row, column, 2]
            v, m = max(r, max(g, b)), min(r, min(g, b))
            spread = v - m
            inverse = one / spread if spread > zero else zero
            if r == v:
                h = (g - b) * inverse
            elif g == v:
                h = np.float32(2) + (b - r) * inverse
            else:
                h = four + (r - g) * inverse
            h += turn
            h = h + six if h < zero else (h - six if h >= six else h)
            h = h + six if h < zero else h  # a negative hue and a negative shift: once more round the circle
            v *= exposure
            chroma = spread * saturation * exposure  # v s, for s = spread / v
            for c in range(3):
                k = np.float32(5 - 2 * c) + h
                k = k - six if k >= six else k
                share = max(zero, min(k, min(four - k, one)))
                x[row, column, c] = max(zero, min(one, v - chroma * share))
