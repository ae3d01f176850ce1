"""Losses, hard negatives, retrieval figures and re-ranking."""

import pytest
import torch

from mmtasks.losses import softmax_contrastive
from mmtasks.metrics.retrieval import Gallery, recalls
from mmtasks.objectives.image_text import ImageText, _take
from mmtasks.objectives.rerank import rerank
from mmtasks.types import Batch, Tokens
from tests.small import small_backbone, small_batch, small_objective


def test_softmax_loss_by_hand() -> None:
    index = torch.arange(2)
    loss = softmax_contrastive(torch.eye(2), torch.eye(2), index, index, torch.tensor(1.0))
    expected = -torch.log_softmax(torch.tensor([1.0, 0.0]), 0)[0]
    torch.testing.assert_close(loss, expected)


def test_hard_negatives_are_never_the_own_picture() -> None:
    backbone, objective, batch = small_backbone(), small_objective(), small_batch()
    index = torch.tensor([0, 0, 1, 1, 2, 2])
    for _ in range(20):
        tokens = backbone.encode(batch.inputs)
        image, text = (objective.embedding(name, tokens[name]) for name in ("image", "text"))
        hard_text, hard_image = objective._hard(image, text, index, index)
        assert (index[hard_text] != index).all()
        assert (index[hard_image] != index).all()


def test_pairs_are_labelled_own_then_hard() -> None:
    backbone, objective, batch = small_backbone(), small_objective(), small_batch()
    output = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
    assert output.logits.shape == (18, 2)
    assert output.labels.tolist() == [1] * 6 + [0] * 12


def test_the_gradient_of_repeated_samples_is_the_same_every_time() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 49, 256, requires_grad=True)
    index, weight = torch.randint(16, (256,)), torch.randn(256, 49, 256)
    grads = []
    for _ in range(5):
        taken = _take(Tokens(x, torch.ones(16, 49, dtype=torch.bool)), index)
        grads.append(torch.autograd.grad((taken.x * weight).sum(), x)[0])
    assert all(torch.equal(grad, grads[0]) for grad in grads)


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_one_batch_can_be_overfitted(num_classes: int) -> None:
    backbone, objective, batch = small_backbone(), small_objective(num_classes=num_classes), small_batch()
    if num_classes == 3:
        batch = Batch(batch.inputs, {**batch.target, "label": torch.tensor([0, 1, 2, 0, 1, 2])}, batch.ids)
    optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=3e-3)
    for _ in range(150):
        output = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
        loss = torch.stack(list(objective.losses(output, batch).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3


def test_without_projection_the_embedding_is_the_pooled_tokens() -> None:
    backbone, objective, batch = small_backbone(), small_objective(pool="mean", project=False), small_batch()
    tokens = backbone.encode(batch.inputs)["text"]
    mean = torch.stack([x[real].mean(dim=0) for x, real in zip(tokens.x, tokens.mask, strict=True)])
    torch.testing.assert_close(objective.embedding("text", tokens), torch.nn.functional.normalize(mean, dim=-1))


def test_recalls_count_ties_against() -> None:
    positive = torch.eye(12, dtype=torch.bool)
    assert recalls(positive.float(), positive, "x")["x_r1"] == 1
    figures = recalls(torch.zeros(12, 12), positive, "x")
    assert figures["x_r10"] == 0
    assert figures["x_median_rank"] == 12


def test_rerank_orders_the_best_and_keeps_the_rest_below() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.1, 0.2]])
    reranked = rerank(scores, 2, torch.tensor(0.0), lambda q, c: c.float())
    assert reranked[0].argsort(descending=True).tolist() == [1, 0, 3, 2]


def test_gallery_drops_repeats_and_does_not_depend_on_batches() -> None:
    def add(gallery: Gallery, rows: list[int]) -> None:
        x = torch.tensor(rows, dtype=torch.float)[:, None]
        tokens = Tokens(x[:, :, None], torch.ones(len(rows), 1, dtype=torch.bool))
        captions = torch.tensor(rows).repeat_interleave(2)
        texts = Tokens(torch.zeros(len(captions), 2, 1), torch.ones(len(captions), 2, dtype=torch.bool))
        gallery.update((x, tokens, torch.tensor(rows)), (captions[:, None].float(), texts, captions))

    one, other = Gallery(4), Gallery(4)
    add(one, [0, 1, 2])
    for rows in ([2, 0], [1, 0]):
        add(other, rows)
    for name, value in one.compute().items():
        torch.testing.assert_close(other.compute()[name], value)
    assert one.compute()["text_index"].tolist() == [0, 0, 1, 1, 2, 2]


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="softmax, sigmoid, got 'cosine'"):
        ImageText("cosine")
    with pytest.raises(ValueError, match="got 1"):
        ImageText(num_classes=1)
