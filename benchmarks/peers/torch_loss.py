"""The region loss of YOLOv2 and the classifier's cross-entropy in PyTorch, per picture; kernels/region.py has the words."""
import torch
from torch.nn import functional

from peers import Absent


def loss_of(net):
    """The loss of the network's head: a function (raw output (b, c, h, w), truth) -> scalar."""
    if [layer.name for layer in net.layers if layer.trains_from_truth] == ["region"]:
        return RegionLoss(net.head.options)
    if net.layers[-1].name == "softmax":
        return lambda raw, truth: -(truth * functional.log_softmax(raw.flatten(1), 1)).sum() / len(raw)
    raise Absent("its loss is not built")


def overlaps(a, b):
    """IoU of boxes a and b (..., 4), centre form."""
    low = torch.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = torch.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    both = (high - low).clamp(min=0).prod(-1)
    return both / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - both)


class RegionLoss:
    """The loss during the first 12,800 pictures. Every anchor-cell may be responsible for one object at most."""

    def __init__(self, options):
        if not (options.softmax and options.bias_match):
            raise Absent("softmax=0 and bias_match=0 are not built")
        self.options, self.anchors = options, torch.tensor(options.anchors).reshape(-1, 2)

    def __call__(self, raw, truth):
        o, (b, _, h, w) = self.options, raw.shape
        z = raw.permute(0, 2, 3, 1).reshape(b, h, w, o.num, 5 + o.classes)
        centre, size, objectness = z[..., :2].sigmoid(), z[..., 2:4], z[..., 4].sigmoid()
        with torch.no_grad():
            where, wanted, weight = self.assign(centre, size, truth)
        share = functional.log_softmax(z[where][..., 5:], -1)
        classes = -share.gather(-1, truth[..., 4:].long().reshape(-1, 1)).sum()
        boxes = torch.cat([centre, size, objectness[..., None]], -1)
        return ((weight * (boxes - wanted) ** 2).sum() / 2 + o.class_scale * classes) / b

    def assign(self, centre, size, truth):
        """(indices of the responsible anchor-cells, what x, y, w, h, objectness should be, how much each matters)."""
        o, (b, h, w, n, _) = self.options, centre.shape
        grid = torch.tensor([w, h], dtype=torch.float32)
        cells = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), -1)[None, :, :, None]
        boxes = torch.cat([(cells + centre) / grid, size.exp() * self.anchors / grid], -1)

        wanted, weight = (torch.zeros(b, h, w, n, 5) for _ in range(2))
        wanted[..., :2], weight[..., :4] = .5, .01  # at first every box is drawn to its anchor
        best = overlaps(boxes[..., None, :], truth[:, None, None, None, :, :4]).amax(-1)
        weight[..., 4] = o.noobject_scale * (best <= o.thresh)

        place, extent = truth[..., :2] * grid, truth[..., 2:4] * grid
        nothing = torch.zeros_like(extent)[..., None, :].expand(-1, -1, n, -1)
        shapes = torch.cat([nothing, self.anchors.expand_as(nothing)], -1)
        anchor = overlaps(shapes, torch.cat([nothing, extent[..., None, :].expand_as(nothing)], -1)).argmax(-1)
        column, line = place.long().unbind(-1)
        picture = torch.arange(b)[:, None].expand_as(anchor)
        where = tuple(index.reshape(-1) for index in (picture, line, column, anchor))
        found = overlaps(boxes[where], truth[..., :4].reshape(-1, 4)) if o.rescore else torch.ones(anchor.numel())
        wanted[where] = torch.cat([(place - place.floor()).reshape(-1, 2),
                                   (extent / self.anchors[anchor]).log().reshape(-1, 2), found[:, None]], -1)
        small = o.coord_scale * (2 - truth[..., 2:4].prod(-1)).reshape(-1, 1)
        weight[where] = torch.cat([small.expand(-1, 4), torch.full_like(small, o.object_scale)], -1)
        return where, wanted, weight
