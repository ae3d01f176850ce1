"""Image-text matching: a contrastive embedding to find candidates, a fused matching head to tell them apart."""

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.distributed import gather, gather_tokens, global_mean, rank
from mmtasks.errors import UserError
from mmtasks.heads.matching import MatchingHead
from mmtasks.heads.pool import Pool
from mmtasks.losses import sigmoid_contrastive, softmax_contrastive
from mmtasks.metrics.pairs import LabelledPairs
from mmtasks.metrics.retrieval import Gallery, Ranked, recalls
from mmtasks.objectives.base import Objective
from mmtasks.objectives.rerank import PairScorer, pair_figures, rerank
from mmtasks.types import Batch, Facts, Fuse, Tokens

CONTRASTIVE = ("softmax", "sigmoid")


class ImageTextOutput(NamedTuple):
    """image (B, D), text (C, D): unit length. logits (P, K), labels (P,): the matching head's pairs, if any."""

    image: Tensor
    text: Tensor
    tokens: dict[str, Tokens]
    logits: Tensor | None
    labels: Tensor | None


class ImageText(Objective):
    """Contrastive loss on tokens before fusion, matching loss on fused tokens with hard negatives (Li et al. 2021).

    Args:
        contrastive: softmax (InfoNCE with a learned temperature) or sigmoid (SigLIP).
        pool: how tokens become one vector: mean, max or attention.
        project: give each modality a linear layer between pool and embedding. Without, tokens lie in the space that the
            contrastive loss aligns, and fusion can compare them from the start.
        num_classes: classes of the matching head; 0 leaves fusion out (a dual encoder). With 2, class 1 is a match and
            negatives are drawn from the global batch. With more, the data give a label for each pair.
        match_class: the class that means a match.
        compare: let the matching head compare the two modalities, see ``MatchingHead``.
        matching_weight: weight of the matching loss.
        hardness: negatives are drawn by softmax of hardness * scaled cosine; 0 draws them evenly.
        rerank: how many of the nearest neighbours the matching head orders again.
        rerank_mix: how much of the embedding's scaled cosine is added to the matching head's log odds.
        temperature: where the learned temperature starts.
        dropout: in the matching head.
        seed: of the draw of hard negatives.
    """

    modalities = ("image", "text")
    draws: Tensor

    def __init__(
        self,
        contrastive: str = "softmax",
        pool: str = "attention",
        *,
        project: bool = True,
        num_classes: int = 2,
        match_class: int = 1,
        compare: bool = False,
        matching_weight: float = 1.0,
        hardness: float = 1.0,
        rerank: int = 16,
        rerank_mix: float = 1.0,
        temperature: float = 0.05,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if contrastive not in CONTRASTIVE:
            raise ValueError(f"contrastive must be one of {', '.join(CONTRASTIVE)}, got {contrastive!r}")
        if num_classes == 1 or not 0 <= match_class < max(2, num_classes):
            raise ValueError(f"num_classes must be 0 or at least 2, with match_class below it; got {num_classes}")
        self.contrastive = contrastive
        self.pool = pool
        self.project = project
        self.num_classes = num_classes
        self.match_class = match_class
        self.compare = compare
        self.matching_weight = matching_weight
        self.hardness = hardness
        self.rerank = rerank
        self.rerank_mix = rerank_mix
        self.temperature = temperature
        self.dropout = dropout
        self.seed = seed

    def build(self, dim: int, facts: Facts) -> None:
        """Make the pools, the embedding layers and the matching head."""
        self.max_length = facts["text"]["max_length"]
        labels = facts.get("label", {}).get("num_classes", 0)
        self.labelled = labels > 0
        if labels > self.num_classes:
            raise UserError(f"the data have {labels} labels: set num_classes {labels}, not {self.num_classes}")
        if self.num_classes > 2 and not labels:
            raise UserError(f"num_classes {self.num_classes} needs a label for each pair in the data; or set it to 2")
        self.pools = nn.ModuleDict({name: Pool(dim, self.pool) for name in self.modalities})
        self.embed = nn.ModuleDict(
            {name: nn.Linear(dim, dim) if self.project else nn.Identity() for name in self.modalities}
        )
        self.log_scale = nn.Parameter(torch.tensor(-math.log(self.temperature)))
        if self.contrastive == "sigmoid":
            self.bias = nn.Parameter(torch.tensor(-10.0))
        if self.labelled:  # no contrastive loss, so these are never trained
            self.requires_grad_(False)
        if self.num_classes:
            self.head = MatchingHead(dim, self.num_classes, compare=self.compare, dropout=self.dropout)
        self.register_buffer("draws", torch.zeros((), dtype=torch.long))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature, at most 100 (Radford et al. 2021)."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def embedding(self, name: str, tokens: Tokens) -> Tensor:
        """Tokens (B, N, D) of a modality before fusion -> unit vectors (B, D)."""
        return F.normalize(self.embed[name](self.pools[name](tokens)), dim=-1)

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> ImageTextOutput:
        """Embed both modalities; in training also score pairs and their hard negatives."""
        image, text = (self.embedding(name, tokens[name]) for name in self.modalities)
        logits = labels = None
        if self.num_classes and "label" in batch.target:
            logits, labels = self.match(tokens, fuse), batch.target["label"]
        elif self.num_classes == 2 and self.training:
            pairs, labels = self._pairs(tokens, image, text, batch)
            logits = self.match(pairs, fuse)
        return ImageTextOutput(image, text, tokens, logits, labels)

    def match(self, tokens: dict[str, Tokens], fuse: Fuse) -> Tensor:
        """Tokens of B pairs -> class scores (B, K)."""
        return self.head(fuse({name: tokens[name] for name in self.modalities}))

    def match_score(self, logits: Tensor) -> Tensor:
        """Class scores (B, K) -> log odds of a match (B,)."""
        others = [k for k in range(self.num_classes) if k != self.match_class]
        return logits[:, self.match_class] - logits[:, others].logsumexp(dim=1)

    def losses(self, output: ImageTextOutput, batch: Batch) -> dict[str, Tensor]:
        """The contrastive and the matching loss, each over the global batch."""
        found = {}
        if "label" not in batch.target:
            indices = batch.target["image_index"], batch.target["text_index"]
            if self.contrastive == "sigmoid":
                found["contrastive"] = sigmoid_contrastive(output.image, output.text, *indices, self.scale, self.bias)
            else:
                found["contrastive"] = softmax_contrastive(output.image, output.text, *indices, self.scale)
        if output.logits is not None:
            total = F.cross_entropy(output.logits, cast(Tensor, output.labels), reduction="sum")
            found["matching"] = self.matching_weight * global_mean(total, len(output.logits))
        return found

    def metrics(self) -> Gallery | LabelledPairs:
        """An accumulator of every labelled pair where the data have labels, else of every image and caption."""
        return LabelledPairs(self.match_class) if self.labelled else Gallery(self.max_length)

    def update_metrics(self, metrics: Gallery | LabelledPairs, output: ImageTextOutput, batch: Batch) -> None:
        """Add one batch of images and captions."""
        if isinstance(metrics, LabelledPairs):
            logits, labels = cast(Tensor, output.logits), cast(Tensor, output.labels)
            metrics.update(self.match_score(logits), logits, labels)
            return
        image = (output.image, output.tokens["image"], batch.target["image_index"])
        metrics.update(image, (output.text, output.tokens["text"], batch.target["text_index"]))

    @torch.no_grad()
    def compute_metrics(self, metrics: Gallery | LabelledPairs, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        """Recalls of the embeddings alone (``dual_…``); when full, also of the re-ranked list. Or of labelled pairs."""
        found = metrics.compute()
        if isinstance(metrics, LabelledPairs):
            return found
        positive = found["text_index"][:, None] == found["image_index"][None]  # [captions, images]
        t2i = found["text"] @ found["image"].T
        i2t = t2i.T
        figures = recalls(t2i, positive, "dual_t2i") | recalls(i2t, positive.T, "dual_i2t")
        if self.num_classes and full:
            score_pairs = PairScorer(self, found, fuse)
            mix = self.rerank_mix * self.scale
            t2i = rerank(t2i, self.rerank, mix, score_pairs)
            i2t = rerank(i2t, self.rerank, mix, lambda image, text: score_pairs(text, image))
            figures |= recalls(t2i, positive, "t2i") | recalls(i2t, positive.T, "i2t")
            figures |= pair_figures(positive, score_pairs)
        metrics.ranked = Ranked(t2i, positive, found["text_index"], found["caption_index"], found["image_index"])
        return figures

    def _pairs(
        self, tokens: dict[str, Tokens], image: Tensor, text: Tensor, batch: Batch
    ) -> tuple[dict[str, Tokens], Tensor]:
        """Each image with its first caption, with a hard caption, that caption with a hard image: 3B pairs, labels."""
        all_tokens = {name: gather_tokens(tokens[name]) for name in self.modalities}
        image_index, text_index = batch.target["image_index"], batch.target["text_index"]
        hard_text, hard_image = self._hard(image, text, image_index, text_index)
        own = {name: _pad_to(tokens[name], all_tokens[name].x.shape[1]) for name in self.modalities}
        own["text"] = _take(own["text"], _first_caption(image_index, text_index))
        images = _stack(own["image"], own["image"], _take(all_tokens["image"], hard_image))
        texts = _stack(own["text"], _take(all_tokens["text"], hard_text), own["text"])
        size = len(image_index)
        labels = torch.full((3 * size,), 1 - self.match_class, device=image.device)
        labels[:size] = self.match_class
        return {"image": images, "text": texts}, labels

    @torch.no_grad()
    def _hard(self, image: Tensor, text: Tensor, image_index: Tensor, text_index: Tensor) -> tuple[Tensor, Tensor]:
        """For each own image a caption, for its first caption an image, of the global batch, drawn by similarity."""
        all_image, all_text = gather(image), gather(text)
        positive = gather(image_index)[:, None] == gather(text_index)[None]
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.draws))
        self.draws += 1
        uniform = torch.rand(2, *positive.shape, generator=generator).to(image.device).clamp(1e-9, 1 - 1e-7)
        gumbel = -(-uniform.log()).log()  # argmax of scores + gumbel is a draw from their softmax
        scores = (self.hardness * self.scale * all_image @ all_text.T).masked_fill(positive, -torch.inf)
        images = slice(rank() * len(image), (rank() + 1) * len(image))
        captions = rank() * len(text) + _first_caption(image_index, text_index)
        return (scores + gumbel[0])[images].argmax(dim=1), (scores + gumbel[1]).T[captions].argmax(dim=1)


def _first_caption(image_index: Tensor, text_index: Tensor) -> Tensor:
    """Of each picture (B,) the position of its first caption in (C,); pictures have equally many, one after another."""
    return torch.arange(0, len(text_index), len(text_index) // len(image_index), device=text_index.device)


def _take(tokens: Tokens, index: Tensor) -> Tokens:
    """Samples by position; not by ``x[index]``, whose gradient adds up in an order that threads decide."""
    return Tokens(tokens.x.index_select(0, index), tokens.mask[index])


def _pad_to(tokens: Tokens, length: int) -> Tokens:
    extra = length - tokens.x.shape[1]
    return Tokens(F.pad(tokens.x, (0, 0, 0, extra)), F.pad(tokens.mask, (0, extra)))


def _stack(*parts: Tokens) -> Tokens:
    return Tokens(torch.cat([p.x for p in parts]), torch.cat([p.mask for p in parts]))
