"""How lips get from one shape to the next: every shape pulls at all moments near it (Cohen and Massaro 1993)."""

import torch
from torch import Tensor

from mmtasks.data.mouths.visemes import REST, Seen

REACH = 0.3
"""Deviation of a shape's pull in time, as a share of how long it lasts."""
QUICKEST = 0.025
"""The least deviation, in seconds: lips do not jump."""
IDLE = 1e-3
"""Pull of the shape at rest at all times."""


def move(shapes: list[Seen], seconds: Tensor) -> Tensor:
    """The mouth at given times (T,): opening, width, teeth and tongue (T, 4), each 0 to 1.

    >>> from mmtasks.data.mouths.visemes import SHAPES
    >>> said = [Seen(SHAPES["p"], 0.0, 0.1), Seen(SHAPES["a"], 0.1, 0.3)]
    >>> move(said, torch.tensor([0.05, 0.2]))[:, 0].round(decimals=1)
    tensor([0., 1.])
    """
    targets = torch.tensor([*(seen.shape[:-1] for seen in shapes), REST[:-1]])  # [S + 1, 4]
    middles = torch.tensor([(seen.start + seen.end) / 2 for seen in shapes])
    widths = torch.tensor([max(REACH * (seen.end - seen.start), QUICKEST) for seen in shapes])
    firm = torch.tensor([seen.shape.firm for seen in shapes])
    pull = firm * torch.exp(-0.5 * ((seconds[:, None] - middles) / widths).square())  # [T, S]
    pull = torch.cat([pull, torch.full((len(seconds), 1), IDLE)], dim=1)
    return pull @ targets / pull.sum(dim=1, keepdim=True)
