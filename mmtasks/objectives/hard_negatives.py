"""Which wrong pairs the matching head learns from: those of the global batch that the embeddings find alike."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmtasks.distributed import dealt, gather, gather_tokens, rank
from mmtasks.types import Tokens


@torch.no_grad()
def draw_negatives(
    scores: Tensor, image_index: Tensor, text_index: Tensor, number: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Of each own image other captions (B, n), of its first caption other images (B, n): positions in the global batch.

    Drawn without replacement by the softmax of ``scores`` (world * B, world * C). image_index (B,) and text_index (C,)
    number the picture each belongs to. Where there are fewer than ``number`` others, n is as many as there are, in a
    batch of one picture none.
    """
    positive = gather(image_index)[:, None] == gather(text_index)[None]
    number = min(number, int((~positive).sum(dim=1).min()), int((~positive).sum(dim=0).min()))
    uniform = torch.rand(2, *positive.shape, generator=generator).clamp(1e-9, 1 - 1e-7)
    rows, columns = dealt(len(image_index)), dealt(len(text_index), len(text_index) // len(image_index))
    uniform = uniform[:, rows][:, :, columns].to(scores.device)  # of a pair the same draw, whichever process it is in
    gumbel = -(-uniform.log()).log()  # the largest of scores + gumbel are a draw from their softmax
    to_text, to_image = (scores + gumbel).masked_fill(positive, -torch.inf)
    images = slice(rank() * len(image_index), (rank() + 1) * len(image_index))
    captions = rank() * len(text_index) + first_captions(image_index, text_index)
    return to_text[images].topk(number, dim=1).indices, to_image.T[captions].topk(number, dim=1).indices


def pair_up(tokens: dict[str, Tokens], first: Tensor, other_texts: Tensor, other_images: Tensor) -> dict[str, Tokens]:
    """The pairs that the matching head is to tell apart: (B + 2 B n) of image and caption.

    Each image with its first caption (position ``first`` (B,)), then with each of its ``other_texts`` (B, n), then its
    ``other_images`` (B, n) with the first caption.
    """
    number = other_texts.shape[1]
    everyone = {name: gather_tokens(value) for name, value in tokens.items()}
    image, text = (_pad_to(tokens[name], everyone[name].x.shape[1]) for name in ("image", "text"))
    text = take(text, first)
    repeat = torch.arange(len(first), device=first.device).repeat_interleave(number)
    return {
        "image": _stack(image, take(image, repeat), take(everyone["image"], other_images.flatten())),
        "text": _stack(text, take(everyone["text"], other_texts.flatten()), take(text, repeat)),
    }


def first_captions(image_index: Tensor, text_index: Tensor) -> Tensor:
    """Of each picture (B,) the position of its first caption in (C,); pictures have equally many, one after another."""
    return torch.arange(0, len(text_index), len(text_index) // len(image_index), device=text_index.device)


def take(tokens: Tokens, index: Tensor) -> Tokens:
    """Samples by position; not by ``x[index]``, whose gradient adds up in an order that threads decide."""
    return Tokens(tokens.x.index_select(0, index), tokens.mask[index])


def _pad_to(tokens: Tokens, length: int) -> Tokens:
    extra = length - tokens.x.shape[1]
    return Tokens(F.pad(tokens.x, (0, 0, 0, extra)), F.pad(tokens.mask, (0, extra)))


def _stack(*parts: Tokens) -> Tokens:
    return Tokens(torch.cat([p.x for p in parts]), torch.cat([p.mask for p in parts]))
