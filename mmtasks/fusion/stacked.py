"""Several fusions, one after the other."""

from torch import nn

from mmtasks.fusion.base import Fusion
from mmtasks.types import Fused, Tokens


class Stacked(Fusion):
    """Each fusion reads what the one before made: layers of attention first, for instance, then MMAN's products.

    Args:
        fusions: in order, at least one.

    >>> import torch
    >>> from mmtasks.fusion.mman import MMAN
    >>> fusion = Stacked([MMAN(), MMAN()])
    >>> fusion.build(8)
    >>> mask = torch.ones(1, 3, dtype=torch.bool)
    >>> fusion({"text": Tokens(torch.zeros(1, 3, 8), mask), "image": Tokens(torch.zeros(1, 3, 8), mask)}).x.shape
    torch.Size([1, 6, 8])
    """

    def __init__(self, fusions: list[Fusion]) -> None:
        super().__init__()
        if not fusions:
            raise ValueError("fusions is empty; give at least one")
        self.fusions = nn.ModuleList(fusions)

    def build(self, dim: int) -> None:
        """Make the weights of each for tokens of width ``dim``."""
        for fusion in self.fusions:
            fusion.build(dim)

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, D) of each modality -> Fused (B, N, D); the attention of the last fusion if asked for."""
        *earlier, last = self.fusions
        for fusion in earlier:
            fused = fusion(tokens)
            tokens = {name: Tokens(fused.x[:, span], fused.mask[:, span]) for name, span in fused.spans.items()}
        return last(tokens, need_weights=need_weights)
