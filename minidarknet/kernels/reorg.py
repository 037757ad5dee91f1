"""Reorg: fold s x s blocks of pixels into channels, (h, w, c) -> (h/s, w/s, c s^2), in Darknet's own order.

It is not space-to-depth. Darknet walks over its planes (channels, then rows, then columns) as if the input had c/s^2
channels of (h s, w s) pixels, folds that picture, and then reads the result as c s^2 planes of (h/s, w/s). The values
end up elsewhere than one would think, but weights trained with Darknet expect exactly them there.
So both kernels think in positions on Darknet's planes, `(channel * height + y) * width + x`, and every element of the
layer's input dimensions (`cell`) has a `partner` on the imagined large picture.
Paper: the passthrough of YOLO9000 (arXiv 1612.08242), section 2. Darknet: src/reorg_layer.c, src/blas.c.
"""
from minidarknet.kernels._jit import jit, parallel, prange


@jit
def _pair(plane, y, column, h, w, c, stride):
    """Positions (cell, partner) on Darknet's planes for element (plane, y, column) of a (c, h, w) picture."""
    large = c // stride ** 2                 # channels of the imagined (large, h * stride, w * stride) picture
    channel, place = plane % large, plane // large
    row = y * stride + place // stride
    cell = (plane * h + y) * w + column
    partner = (channel * h * stride + row) * w * stride + column * stride + place % stride
    return cell, partner


@jit
def _unfold(position, h, w):
    """(y, x, channel) of a position on planes of (h, w) pixels."""
    return position // w % h, position % w, position // (h * w)


@parallel
def reorg_forward(x, out, stride, reverse):
    """Permute the elements: out[cell] = x[partner], or the other way round with reverse.

    x (b, h, w, c) float; out float, *written*: (b, h/s, w/s, c s^2), or (b, h s, w s, c/s^2) with reverse (int 0 or 1);
    stride int s, whose square divides c, and h and w too unless reverse. Darknet: src/blas.c.
    """
    b, h, w, c = x.shape
    oh, ow = out.shape[1:3]
    for task in prange(b * c):  # a thread owns the elements that belong to planes of its own
        image, plane = task // c, task % c
        for y in range(h):
            for column in range(w):
                cell, partner = _pair(plane, y, column, h, w, c, stride)
                source, target = (cell, partner) if reverse else (partner, cell)
                iy, ix, ic = _unfold(source, h, w)
                oy, ox, oc = _unfold(target, oh, ow)
                out[image, oy, ox, oc] = x[image, iy, ix, ic]


@parallel
def reorg_backward(grad_out, grad_x, stride, reverse, accumulate):
    """Carry every gradient back to where its value came from: the inverse permutation.

    grad_out float, of the shape of reorg_forward's out; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool)
    else *written*; stride, reverse ints as in the forward pass.
    Darknet: src/reorg_layer.c (which overwrites, whoever else wrote there).
    """
    b, h, w, c = grad_x.shape
    oh, ow = grad_out.shape[1:3]
    for task in prange(b * c):
        image, plane = task // c, task % c
        for y in range(h):
            for column in range(w):
                cell, partner = _pair(plane, y, column, h, w, c, stride)
                source, target = (cell, partner) if reverse else (partner, cell)
                iy, ix, ic = _unfold(source, h, w)
                oy, ox, oc = _unfold(target, oh, ow)
                if not accumulate:
                    grad_x[image, iy, ix, ic] = 0
                # forward: out[image, oy, ox, oc] = x[image, iy, ix, ic]
                grad_x[image, iy, ix, ic] += grad_out[image, oy, ox, oc]
