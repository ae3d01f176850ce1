"""Rank, search and match with a trained image-text model."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from PIL import Image
from torch import Tensor

from mmtasks.data.clean import clean
from mmtasks.data.collate import pad_modality
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import Model, load, objective_of
from mmtasks.objectives.image_text import ImageText
from mmtasks.objectives.rerank import rerank
from mmtasks.types import Modality, Tokens

T = TypeVar("T")
CHUNK = 64
PAIRS = 256


class Encoded(NamedTuple):
    """One image or text: unit embedding (D,) and its tokens before fusion (N, D)."""

    embedding: Tensor
    tokens: Tensor


class Matcher:
    """A trained image-text model, ready to use.

    Raises:
        UserError: the checkpoint is of another task.
    """

    def __init__(self, checkpoint: str | Path | Model, *, device: str = "cpu") -> None:
        self.model = checkpoint if isinstance(checkpoint, Model) else load(checkpoint, device=device)
        self.objective = objective_of(self.model, ImageText, "image-text matching")

    @property
    def mix(self) -> float:
        """What the cosine is multiplied with before it is added to the log odds of a match."""
        return float(self.objective.rerank_mix * self.objective.scale.detach())

    def encode_images(self, pictures: Iterable[Image.Image]) -> list[Encoded]:
        """Encode pictures; a generator may open them as they are asked for, so that few are open at a time."""
        process = self.model.processors["image"]
        return self._encode("image", (process(picture) for picture in pictures))

    def encode_texts(self, texts: Iterable[str]) -> list[Encoded]:
        """Encode texts, cleaned as in training."""
        process = self.model.processors["text"]
        return self._encode("text", (process(clean(text, process.clean)) for text in texts))

    @torch.inference_mode()
    def embed(self, name: str, tokens: Iterable[Tensor]) -> list[Encoded]:
        """Tokens before fusion (N_i, D) of a modality, kept from earlier -> what encoding gave."""
        encoded: list[Encoded] = []
        for chunk in chunks(tokens, CHUNK):
            vectors = self.objective.embedding(name, self._to_device({name: _pad(chunk)})[name]).cpu()
            encoded += [Encoded(vector, x) for vector, x in zip(vectors, chunk, strict=True)]
        return encoded

    def rank(self, queries: list[Encoded], candidates: list[Encoded], *, queries_are: str) -> Tensor:
        """Scores (Q, C): by embedding, the best re-ranked by the matching head where the model has one.

        A model of labelled pairs ranks all by its head alone: its embeddings were never trained.
        """
        objective = self.objective

        def score(q: list[Encoded], c: list[Encoded]) -> Tensor:
            return self.score_pairs(q, c) if queries_are == "image" else self.score_pairs(c, q)

        def score_at(q: Tensor, c: Tensor) -> Tensor:
            return score([queries[i] for i in q.tolist()], [candidates[j] for j in c.tolist()])

        if objective.labelled:
            return torch.stack([score([query] * len(candidates), candidates) for query in queries])
        cosines = torch.stack([q.embedding for q in queries]) @ torch.stack([c.embedding for c in candidates]).T
        return rerank(cosines, objective.rerank, self.mix, score_at) if objective.num_classes else cosines

    def score_pairs(self, images: list[Encoded], texts: list[Encoded]) -> Tensor:
        """The matching head's log odds of P pairs: (P,); the cosine where the model has no matching head."""
        if not self.objective.num_classes:
            return torch.stack([i.embedding @ t.embedding for i, t in zip(images, texts, strict=True)])
        parts = []
        for start in range(0, len(images), PAIRS):
            part = slice(start, start + PAIRS)
            pair = {"image": _pad([i.tokens for i in images[part]]), "text": _pad([t.tokens for t in texts[part]])}
            parts.append(self._log_odds(pair))
        return torch.cat(parts)

    @torch.inference_mode()
    def probability(self, image: Encoded, text: Encoded) -> float:
        """The matching head's probability that the text describes the image."""
        if not self.objective.num_classes:
            raise UserError("this model has no matching head; train one with num_classes of at least 2")
        return float(self._log_odds({"image": _pad([image.tokens]), "text": _pad([text.tokens])}).sigmoid())

    @torch.inference_mode()
    def attention(self, image: Encoded, text: Encoded) -> Tensor:
        """How much each text token looks at each image token: (text tokens, image tokens)."""
        pair = {"image": _pad([image.tokens]), "text": _pad([text.tokens])}
        fused = self.model.backbone.fuse(self._to_device(pair), need_weights=True)
        if fused.attention is None:
            raise UserError(f"{type(self.model.backbone.fusion).__name__} gives no attention weights to show")
        return fused.attention[0, fused.spans["text"], fused.spans["image"]].cpu()

    @torch.inference_mode()
    def _log_odds(self, pair: dict[str, Tokens]) -> Tensor:
        logits = self.objective.match(self._to_device(pair), self.model.backbone.fuse)
        return self.objective.match_score(logits).cpu()

    @torch.inference_mode()
    def _encode(self, name: str, tensors: Iterable[Tensor]) -> list[Encoded]:
        encoded: list[Encoded] = []
        for chunk in chunks(tensors, CHUNK):
            raw = pad_modality(chunk)
            batch = Modality(raw.data.to(self.model.device), raw.mask.to(self.model.device))
            tokens = self.model.backbone.encode({name: batch})[name]
            embedding = self.objective.embedding(name, tokens).cpu()
            for vector, x, mask in zip(embedding, tokens.x.cpu(), tokens.mask.cpu(), strict=True):
                encoded.append(Encoded(vector, x[mask]))
        return encoded

    def _to_device(self, pair: dict[str, Tokens]) -> dict[str, Tokens]:
        device = self.model.device
        return {name: Tokens(t.x.to(device), t.mask.to(device)) for name, t in pair.items()}


def _pad(items: list[Tensor]) -> Tokens:
    return Tokens(*pad_modality(items))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter; taken from ``items`` as they are asked for."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
