"""What CTC says of the beginnings of texts, for decoding together with an attention decoder."""

from typing import NamedTuple

import torch
from torch import Tensor


class Prefixes(NamedTuple):
    """Beginnings of texts, R of them.

    paths: (R, N, 2), for each token the log probability of all paths up to it that write the beginning, and end with
    its last symbol or with a blank. last: (R,) that symbol, -1 of an empty text. rows: (R,) the recording of each.
    """

    paths: Tensor
    last: Tensor
    rows: Tensor


class Extended(NamedTuple):
    """Beginnings, each with C next symbols.

    scores: (R, C) log probability of all texts that begin so; paths: (R, C, N, 2); symbols: (R, C); rows: (R,).
    """

    scores: Tensor
    paths: Tensor
    symbols: Tensor
    rows: Tensor


class PrefixScores:
    """CTC prefix scores (Watanabe et al. 2017, algorithm 2), for many beginnings at once.

    Args:
        log_probs: (B, N, V) of a CTC head.
        mask: (B, N), the real tokens first.
        blank: the symbol that is none.
        end: what says that a text is complete.
    """

    def __init__(self, log_probs: Tensor, mask: Tensor, *, blank: int, end: int) -> None:
        self.blank, self.end = blank, end
        silent = torch.full_like(log_probs, -torch.inf)
        silent[..., blank] = 0  # padding writes nothing, and costs nothing
        self.log_probs = torch.where(mask[..., None], log_probs, silent)

    def begin(self, rows: Tensor) -> Prefixes:
        """Empty texts of the recordings ``rows`` (R,)."""
        blanks = self.log_probs[rows, :, self.blank].cumsum(dim=1)
        paths = torch.stack([torch.full_like(blanks, -torch.inf), blanks], dim=-1)
        return Prefixes(paths, torch.full_like(rows, -1), rows)

    def extend(self, prefixes: Prefixes, symbols: Tensor) -> Extended:
        """Each beginning with each of its symbols (R, C) after it."""
        paths, last, rows = prefixes
        known = symbols.clamp(max=self.log_probs.shape[2] - 1)
        heard = self.log_probs[rows[:, None], :, known]  # [R, C, N]
        blanks = self.log_probs[rows, :, self.blank]  # [R, N]
        either = torch.logaddexp(paths[..., 0], paths[..., 1])  # [R, N]
        repeated = (symbols == last[:, None])[..., None]  # the same symbol again needs a blank between
        before = torch.where(repeated, paths[:, None, :, 1], either[:, None])  # [R, C, N]
        first = torch.where((last < 0)[:, None], heard[..., 0], -torch.inf)
        ways, new = [torch.stack([first, torch.full_like(first, -torch.inf)], dim=-1)], [first]
        for t in range(1, heard.shape[2]):
            symbol, blank = ways[-1].unbind(dim=-1)
            new.append(before[..., t - 1] + heard[..., t])
            ways.append(
                torch.stack(
                    [
                        torch.logaddexp(symbol, before[..., t - 1]) + heard[..., t],
                        torch.logaddexp(symbol, blank) + blanks[:, None, t],
                    ],
                    dim=-1,
                )
            )
        scores = torch.stack(new, dim=-1).logsumexp(dim=-1).masked_fill(symbols == self.blank, -torch.inf)
        scores = torch.where(symbols == self.end, either[:, -1:], scores)
        return Extended(scores, torch.stack(ways, dim=2), symbols, rows)

    def choose(self, extended: Extended, source: Tensor, column: Tensor) -> Prefixes:
        """The beginnings that go on: of each (R',), which row and which symbol it was."""
        paths, symbols = extended.paths[source, column], extended.symbols[source, column]
        return Prefixes(paths, symbols, extended.rows[source])
