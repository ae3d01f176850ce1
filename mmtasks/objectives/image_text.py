"""Image-text matching: a contrastive embedding to find candidates, a fused matching head to tell them apart."""

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.distributed import gather, global_mean
from mmtasks.errors import UserError
from mmtasks.heads.matching import MatchingHead
from mmtasks.heads.pool import KINDS, Pool
from mmtasks.layers import drop_features
from mmtasks.losses import sigmoid_contrastive, softmax_contrastive
from mmtasks.metrics.pairs import LabelledPairs
from mmtasks.metrics.retrieval import Gallery, Ranked, recalls
from mmtasks.objectives.base import Objective
from mmtasks.objectives.hard_negatives import draw_negatives, first_captions, pair_up
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
        negatives: hard captions of an image, and hard images of its caption.
        hardness: negatives are drawn by softmax of hardness * scaled cosine; 0 draws them evenly.
        ranking: also learn to score the right caption above the hard ones, and the right image, as re-ranking asks.
        rerank: how many of the nearest neighbours the matching head orders again.
        rerank_mix: how much of the embedding's scaled cosine is added to the matching head's log odds.
        temperature: where the learned temperature starts.
        dropout: in the matching head.
        embedding_dropout: on tokens before they become an embedding, the same features in all tokens of a sample.
            Unlike ``Backbone.dropout`` it takes nothing from what fusion reads.
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
        negatives: int = 1,
        hardness: float = 1.0,
        ranking: bool = False,
        rerank: int = 16,
        rerank_mix: float = 1.0,
        temperature: float = 0.05,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if contrastive not in CONTRASTIVE:
            raise ValueError(f"contrastive must be one of {', '.join(CONTRASTIVE)}, got {contrastive!r}")
        if pool not in KINDS:
            raise ValueError(f"pool must be one of {', '.join(KINDS)}, got {pool!r}")
        if num_classes == 1 or not 0 <= match_class < max(2, num_classes):
            raise ValueError(f"num_classes must be 0 or at least 2, with match_class below it; got {num_classes}")
        if negatives < 1:
            raise ValueError(f"negatives {negatives} must be at least 1")
        if not 0 <= embedding_dropout < 1:
            raise ValueError(f"embedding_dropout {embedding_dropout} must be at least 0 and below 1")
        self.contrastive = contrastive
        self.pool = pool
        self.project = project
        self.num_classes = num_classes
        self.match_class = match_class
        self.compare = compare
        self.matching_weight = matching_weight
        self.negatives = negatives
        self.hardness = hardness
        self.ranking = ranking
        self.rerank = rerank
        self.rerank_mix = rerank_mix
        self.temperature = temperature
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
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
        self.log_scale = nn.Parameter(torch.tensor([-math.log(self.temperature)]))
        if self.contrastive == "sigmoid":
            self.bias = nn.Parameter(torch.tensor([-10.0]))
        if self.labelled:  # no contrastive loss, so these are never trained
            self.requires_grad_(False)
        if self.num_classes:
            self.head = MatchingHead(dim, self.num_classes, compare=self.compare, dropout=self.dropout)
        self.register_buffer("draws", torch.zeros((), dtype=torch.long))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature (1,), at most 100 (Radford et al. 2021)."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def embedding(self, name: str, tokens: Tokens) -> Tensor:
        """Tokens (B, N, D) of a modality before fusion -> unit vectors (B, D)."""
        kept = tokens._replace(x=drop_features(tokens.x, self.embedding_dropout, training=self.training))
        return F.normalize(self.embed[name](self.pools[name](kept)), dim=-1)

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> ImageTextOutput:
        """Embed both modalities; in training also score pairs and their hard negatives."""
        image, text = (self.embedding(name, tokens[name]) for name in self.modalities)
        logits = labels = None
        if self.num_classes and "label" in batch.target:
            logits, labels = self.match(tokens, fuse), batch.target["label"]
        elif self.num_classes == 2 and self.training:
            first = first_captions(batch.target["image_index"], batch.target["text_index"])
            logits = self.match(pair_up(tokens, first, *self._negatives(image, text, batch)), fuse)
            labels = torch.full((len(logits),), 1 - self.match_class, device=logits.device)
            labels[: len(image)] = self.match_class
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
            found["matching"] = self.matching_weight * self._matching(output)
            if self.ranking and not self.labelled:
                found["ranking"] = self.matching_weight * self._ranking(output)
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
        if isinstance(metrics, LabelledPairs):
            labelled: dict[str, Tensor] = metrics.compute()
            return labelled
        found = metrics.whole()
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

    def _negatives(self, image: Tensor, text: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hard captions and hard images (B, n) of the global batch; every call draws anew."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.draws))
        self.draws += 1
        scores = self.hardness * self.scale.detach() * gather(image.detach()) @ gather(text.detach()).T
        return draw_negatives(
            scores, batch.target["image_index"], batch.target["text_index"], self.negatives, generator
        )

    def _matching(self, output: ImageTextOutput) -> Tensor:
        """Cross entropy of the pairs over the global batch; a picture's hard negatives of a kind count as one."""
        logits, labels = cast(Tensor, output.logits), cast(Tensor, output.labels)
        weight = torch.ones_like(logits[:, 0])
        if not self.labelled:
            own, pairs = len(output.image), len(logits)
            weight[own:] = 2 * own / max(1, pairs - own)  # a batch of one picture has no negatives
        terms = F.cross_entropy(logits, labels, reduction="none")
        return global_mean((weight * terms).sum(), weight.sum())

    def _ranking(self, output: ImageTextOutput) -> Tensor:
        """Cross entropy of the right caption among the hard ones, and of the right image, over the global batch."""
        score, own = self.match_score(cast(Tensor, output.logits)), len(output.image)
        right, wrong = score[:own, None], score[own:].view(2, own, (len(score) - own) // (2 * own))
        terms = [torch.cat([right, others], dim=1).log_softmax(dim=1)[:, 0] for others in wrong]
        return -global_mean(torch.stack(terms).sum(), 2 * own)
