"""Losses, hard negatives, retrieval figures and re-ranking."""

import pytest
import torch

from mmtasks.losses import softmax_contrastive
from mmtasks.metrics.retrieval import Gallery, recalls
from mmtasks.objectives.hard_negatives import draw_negatives, take
from mmtasks.objectives.image_text import ImageText, ImageTextOutput
from mmtasks.objectives.rerank import rerank
from mmtasks.types import Batch, Fused, Tokens
from tests.small import small_backbone, small_batch, small_objective


def test_softmax_loss_by_hand() -> None:
    index = torch.arange(2)
    loss = softmax_contrastive(torch.eye(2), torch.eye(2), index, index, torch.tensor(1.0))
    expected = -torch.log_softmax(torch.tensor([1.0, 0.0]), 0)[0]
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("number", [1, 2, 99])
def test_hard_negatives_are_never_the_own_picture_and_never_repeat(number: int) -> None:
    images, texts = torch.arange(4), torch.arange(4).repeat_interleave(2)
    scores = 50.0 * (images[:, None] == texts)  # what looks best is one's own
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        hard_texts, hard_images = draw_negatives(scores, images, texts, number, generator)
        assert hard_texts.shape == hard_images.shape == (4, min(number, 3))
        assert (texts[hard_texts] != images[:, None]).all()
        assert (hard_images != images[:, None]).all()
        assert all(len(set(row)) == len(row) for row in [*hard_texts.tolist(), *hard_images.tolist()])


def test_hard_negatives_are_mostly_those_that_score_best() -> None:
    index, generator = torch.arange(5), torch.Generator().manual_seed(0)
    scores = torch.zeros(5, 5)
    scores[0, 3] = scores[4, 1] = 20.0
    texts, images = draw_negatives(scores, index, index, 1, generator)
    assert texts[0].item() == 3
    assert images[1].item() == 4


@pytest.mark.parametrize("negatives", [1, 2])
def test_pairs_are_labelled_own_then_hard(negatives: int) -> None:
    backbone, objective, batch = small_backbone(), small_objective(negatives=negatives), small_batch()
    output = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
    assert output.logits.shape == (6 + 12 * negatives, 2)
    assert output.labels.tolist() == [1] * 6 + [0] * 12 * negatives


def test_dropout_of_embeddings_takes_nothing_from_fusion() -> None:
    backbone, batch, read = small_backbone(), small_batch(), []
    whole, dropped = (small_objective(embedding_dropout=share) for share in (0.0, 0.5))
    dropped.load_state_dict(whole.state_dict())
    tokens = backbone.encode(batch.inputs)

    def fuse(pairs: dict[str, Tokens]) -> Fused:
        read.append(pairs["image"].x[:6])  # the pairs that match
        return backbone.fuse(pairs)

    one, other = (objective(tokens, fuse, batch) for objective in (whole, dropped))
    assert not torch.allclose(one.image, other.image) and not torch.allclose(one.text, other.text)
    torch.testing.assert_close(read[0], read[1])
    evaluated = dropped.eval()(tokens, fuse, batch)
    torch.testing.assert_close(evaluated.image, whole.eval()(tokens, fuse, batch).image)


def test_a_picture_without_others_is_no_negative_of_itself() -> None:
    index, generator = torch.zeros(1, dtype=torch.long), torch.Generator()
    hard_texts, hard_images = draw_negatives(torch.ones(1, 2), index, index.repeat(2), 3, generator)
    assert hard_texts.shape == hard_images.shape == (1, 0)
    objective = small_objective(negatives=3, ranking=True)
    batch = Batch({}, {"image_index": index, "text_index": index}, ["a"])
    vector, logits = torch.ones(1, 4) / 2, torch.tensor([[0.0, 3.0]])
    found = objective.losses(ImageTextOutput(vector, vector, {}, logits, torch.ones(1, dtype=torch.long)), batch)
    torch.testing.assert_close(found["matching"], torch.nn.functional.softplus(torch.tensor(-3.0)))
    assert found["ranking"] == 0


def test_more_negatives_weigh_as_much_as_one_and_ranking_compares_each_with_its_own() -> None:
    objective, batch = small_objective(negatives=2, ranking=True), small_batch()
    right, wrong = torch.tensor([3.0, 1.0]), torch.tensor([[[0.0, 2.0], [0.0, 1.0]], [[1.0, -1.0], [4.0, 0.0]]])
    score = torch.cat([right, wrong.flatten()])
    logits = torch.stack([torch.zeros(10), score], dim=1)
    labels = torch.tensor([1] * 2 + [0] * 8)
    vectors = torch.nn.functional.normalize(torch.randn(2, 4), dim=1)
    batch = Batch(batch.inputs, {"image_index": torch.arange(2), "text_index": torch.arange(2)}, ["a", "b"])
    found = objective.losses(ImageTextOutput(vectors, vectors, {}, logits, labels), batch)
    softplus = torch.nn.functional.softplus
    torch.testing.assert_close(found["matching"], (softplus(-right).sum() + softplus(wrong).sum() / 2) / 6)
    expected = torch.stack([others.exp().sum(dim=1) + right.exp() for others in wrong]).log() - right
    torch.testing.assert_close(found["ranking"], expected.mean())


def test_the_gradient_of_repeated_samples_is_the_same_every_time() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 49, 256, requires_grad=True)
    index, weight = torch.randint(16, (256,)), torch.randn(256, 49, 256)
    grads = []
    for _ in range(5):
        taken = take(Tokens(x, torch.ones(16, 49, dtype=torch.bool)), index)
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
