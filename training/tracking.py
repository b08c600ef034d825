"""An auxiliary loss for the tasks of identity: is the object at this video token the one that is asked about?

Linear heads on the video tokens after three layers, thrown away afterwards. Only tokens whose cell shows an object are
asked. The loss fades once the last frame's tokens know it; what it shapes is said in the model card.
"""

import torch
import torch.nn.functional as F
from torch import nn

from model import FRAMES, VIDEO_TOKENS
from train_vision import nearest

FLAG_LAYERS = (2, 4, 6)
KNOWN = 0.97  # the last frame's accuracy from which on the loss fades


class Flags(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.heads = nn.ModuleDict({str(layer): nn.Linear(width, 1) for layer in FLAG_LAYERS})

    def loss(self, seen: dict[int, torch.Tensor], objects: torch.Tensor, first: int):
        """The loss over frames from `first` on, and the part right by layer and frame (layers, FRAMES).

        `seen` holds the prefix after each watched layer (clips, length, width); `objects` is (clips, FRAMES, things,
        5), the asked one first. Where the mark may have any colour, the first frame cannot tell which one it is.
        """
        which, there, _ = nearest(objects.flatten(0, 1))
        shape = (len(objects), FRAMES, -1)
        asked, there = (which == 0).view(shape), there.view(shape)
        total, right = torch.zeros(()), []
        for layer in FLAG_LAYERS:
            video = seen[layer][:, -VIDEO_TOKENS:]
            said = self.heads[str(layer)](F.rms_norm(video, video.shape[-1:])).view(shape)
            used = there[:, first:]
            total = total + F.binary_cross_entropy_with_logits(said[:, first:][used], asked[:, first:][used].float())
            hits = ((said > 0) == asked) & there
            right.append(hits.sum((0, 2)) / there.sum((0, 2)).clamp(min=1))
        return total, torch.stack(right)
