"""Scoring the steps of a video: losses, smoothing, the order of steps."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mmtasks.backbone import Backbone
from mmtasks.encoders.text import BagOfWords
from mmtasks.encoders.video import VideoEncoder
from mmtasks.fusion.base import concatenate
from mmtasks.fusion.mman import MMAN
from mmtasks.heads.frame_scorer import smoothed
from mmtasks.losses.summary import CENTRES, correlation, ranking, regression, unsupervised
from mmtasks.objectives.summary import LOSSES, SummaryScoring
from mmtasks.types import Annotation, Batch, Modality, Tokens

FACTS = {
    "video": {"width": 6, "mean": [0.0] * 6, "std": [1.0] * 6},
    "text": {"vocab_size": 9, "pad_id": 0, "max_length": 4},
}


def mask_of(*lengths: int) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def batch(*lengths: int) -> Batch:
    torch.manual_seed(3)
    mask = mask_of(*lengths)
    video = Modality(torch.randn(*mask.shape, 6) * mask[..., None], mask)
    text = Modality(torch.randint(1, 9, (len(lengths), 3)), torch.ones(len(lengths), 3, dtype=torch.bool))
    importance = video.data[..., 0].sigmoid() * mask
    annotations = [
        Annotation(
            np.arange(length) * 2,
            2 * length,
            2.0,
            np.array([[0, length - 1], [length, 2 * length - 1]]),
            np.repeat(importance[row, :length].numpy(), 2)[None],
        )
        for row, length in enumerate(lengths)
    ]
    target = {"importance": importance, "judged": mask, "annotation": annotations}
    return Batch({"video": video, "text": text}, target, [f"v{row}" for row in range(len(lengths))])


def model(weights: dict[str, float] | None = None, smooth: float = 0.0) -> tuple[Backbone, SummaryScoring]:
    torch.manual_seed(0)
    backbone = Backbone({"video": VideoEncoder(8), "text": BagOfWords(8)}, MMAN(), dim=8)
    backbone.build(FACTS)
    objective = SummaryScoring(weights, smooth=smooth)
    objective.build(8, FACTS)
    return backbone, objective


def read(backbone: Backbone, objective: SummaryScoring, given: Batch):  # type: ignore[no-untyped-def]
    return objective(backbone.encode(given.inputs), backbone.fuse, given)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_ignores_padding(name: str) -> None:
    torch.manual_seed(0)
    scores, target, x = torch.randn(1, 6), torch.rand(1, 6), torch.randn(1, 6, 4)

    def loss(padding: int) -> Tensor:
        torch.manual_seed(1)  # ranking draws distances; those beyond the end compare nothing
        s, t = (torch.nn.functional.pad(v, (0, padding), value=7.0) for v in (scores, target))
        mask = mask_of(6) if not padding else torch.nn.functional.pad(mask_of(6), (0, padding))
        features = torch.nn.functional.pad(x, (0, 0, 0, padding), value=7.0)
        losses = {"regression": regression, "correlation": correlation, "ranking": ranking}
        return losses[name](s, t, mask) if name in losses else unsupervised(s, features, mask, budget=0.3)

    if name == "ranking":  # other distances are drawn: it is compared where the order is perfect and where reversed
        perfect, reverse = (ranking(sign * 50 * target, target, mask_of(6)) for sign in (1, -1))
        assert perfect < 0.5 < reverse
    else:
        torch.testing.assert_close(loss(4), loss(0))


@pytest.mark.parametrize("length", [1, 100, 256, 700])
def test_the_centres_of_a_video_are_its_own(length: int) -> None:
    torch.manual_seed(0)
    longest = 5000
    logits, x = torch.randn(2, longest), torch.randn(2, longest, 4)
    alone = logits[:1, :length].clone().requires_grad_()
    padded = logits.clone().requires_grad_()
    expected = unsupervised(alone, x[:1, :length], mask_of(length), budget=0.3)
    other = unsupervised(logits[1:], x[1:], mask_of(longest), budget=0.3)
    found = unsupervised(padded, x, mask_of(length, longest), budget=0.3)
    torch.testing.assert_close(found, (expected + other) / 2)
    expected.backward()
    found.backward()
    torch.testing.assert_close(2 * padded.grad[:1, :length], alone.grad)
    assert (alone.grad != 0).sum() == min(length, CENTRES)
    assert not padded.grad[0, length:].any()


def test_ranking_of_padded_steps_costs_nothing() -> None:
    target = torch.tensor([[0.1, 0.5, 0.9, 0.0]])
    mask = mask_of(3, 4)[:1]
    wild = torch.tensor([[-50.0, 0.0, 50.0, 1e4]])
    assert ranking(wild, target, mask) < 1e-3


def test_correlation_is_one_minus_pearson_of_each_video() -> None:
    scores, target = torch.randn(2, 9), torch.rand(2, 9)
    expected = np.mean([1 - np.corrcoef(s, t)[0, 1] for s, t in zip(scores.numpy(), target.numpy(), strict=True)])
    assert correlation(scores, target, mask_of(9, 9)).item() == pytest.approx(expected, abs=1e-5)


def test_without_judgement_a_loss_is_zero_and_has_gradients() -> None:
    scores = torch.randn(2, 5, requires_grad=True)
    total = sum(
        f(scores, torch.zeros(2, 5), torch.zeros(2, 5, dtype=torch.bool)) for f in (regression, correlation, ranking)
    )
    total.backward()
    assert total.item() == 0
    assert not scores.grad.any()


def test_unsupervised_prefers_one_of_each_kind_to_two_of_one() -> None:
    x = torch.eye(2).repeat_interleave(4, dim=0)[None]  # two kinds of steps, four of each
    each = torch.full((1, 8), -6.0)
    same = each.clone()
    each[0, [0, 4]] = 6.0
    same[0, [0, 1]] = 6.0
    mask = mask_of(8)
    assert unsupervised(each, x, mask, budget=0.25) < unsupervised(same, x, mask, budget=0.25) - 0.1


def test_smoothing_is_a_mean_of_real_steps_only() -> None:
    values = torch.tensor([[1.0, 1.0, 1.0, 99.0]])
    mask = mask_of(3, 4)[:1]
    torch.testing.assert_close(smoothed(values, mask, 1.0)[:, :3], torch.ones(1, 3))
    spike = torch.zeros(1, 21)
    spike[0, 10] = 1.0
    spread = smoothed(spike, mask_of(21), 2.0)
    assert spread.sum().item() == pytest.approx(1.0, abs=1e-3)
    assert (spread[0, 10] / spread[0, 12]).item() == pytest.approx(np.exp(0.5), rel=1e-4)


def test_scores_are_smoothed_once_trained() -> None:
    backbone, objective = model(smooth=1.5)
    given = batch(9)
    sharp = read(backbone, objective, given).logits
    objective.eval()
    torch.testing.assert_close(read(backbone, objective, given).logits, smoothed(sharp, mask_of(9), 1.5))


@pytest.mark.parametrize("smooth", [0.0, 1.5])
def test_a_video_scores_the_same_alone_and_beside_a_longer_one(smooth: float) -> None:
    backbone, objective = model(smooth=smooth)
    objective.eval()
    together = read(backbone, objective, batch(4, 9))
    given = batch(4, 9)
    inputs = {name: Modality(value.data[:1], value.mask[:1]) for name, value in given.inputs.items()}
    inputs["video"] = Modality(inputs["video"].data[:, :4], inputs["video"].mask[:, :4])
    alone = read(backbone, objective, Batch(inputs, given.target, given.ids[:1]))
    torch.testing.assert_close(together.scores[:1, :4], alone.scores)


def test_a_step_scores_the_mean_of_its_places() -> None:
    _, objective = model()
    objective.eval()
    torch.manual_seed(0)
    x, mask = torch.randn(2, 4, 3, 8), mask_of(4, 2)
    given = batch(4, 2)
    alone = [objective({"video": Tokens(x[:, :, place], mask)}, concatenate, given) for place in range(3)]
    together = Tokens(x.flatten(1, 2), mask.repeat_interleave(3, dim=1))
    found = objective({"video": together}, concatenate, given)
    assert found.mask.equal(mask)
    torch.testing.assert_close(found.logits, torch.stack([one.logits for one in alone]).mean(dim=0))
    torch.testing.assert_close(found.x, torch.stack([one.x for one in alone]).mean(dim=0))


def test_a_place_that_is_left_out_of_a_step_leaves_the_others() -> None:
    _, objective = model()
    x, mask = torch.randn(1, 6, 8), torch.tensor([[True, False, False, False, True, True]])
    found = objective({"video": Tokens(x, mask)}, concatenate, batch(3))
    assert found.mask.tolist() == [[True, False, True]]
    torch.testing.assert_close(found.x[0], torch.stack([x[0, 0], torch.zeros(8), x[0, 4:].mean(dim=0)]))


def test_one_batch_can_be_learned() -> None:
    backbone, objective = model({"correlation": 1.0, "ranking": 0.1})
    given = batch(12, 9)
    optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        sum(objective.losses(read(backbone, objective, given), given).values()).backward()
        optimizer.step()
    metrics = objective.metrics()
    objective.update_metrics(metrics, read(backbone, objective, given), given)
    assert objective.compute_metrics(metrics, backbone.fuse, full=True)["tau"] > 0.8


def test_steps_out_of_order_are_judged_in_the_order_of_time() -> None:
    backbone, objective = model()
    given = batch(8)
    order = np.random.default_rng(0).permutation(8)
    video = given.inputs["video"]
    annotation = given.target["annotation"][0]
    shuffled = Batch(
        {**given.inputs, "video": Modality(video.data[:, order], video.mask)},
        {**given.target, "annotation": [annotation._replace(picks=annotation.picks[order])]},
        given.ids,
    )
    figures = []
    for one in (given, shuffled):
        metrics = objective.metrics()
        objective.update_metrics(metrics, read(backbone, objective, one), one)
        figures.append(objective.compute_metrics(metrics, backbone.fuse, full=True))
    assert figures[0].keys() == figures[1].keys()
    for name, value in figures[0].items():
        torch.testing.assert_close(figures[1][name], value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"hinge": 1.0}}, "hinge"),
        ({"weights": {}}, "give some of regression"),
        ({"budget": 0.0}, "budget 0.0"),
        ({"smooth": -1.0}, "smooth -1.0"),
        ({"dropout": 1.0}, "dropout 1.0"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SummaryScoring(**options)


def test_videos_that_nobody_judged_are_left_out_of_the_figures() -> None:
    backbone, objective = model()
    given = batch(8, 8)
    given.target["annotation"][0] = given.target["annotation"][0]._replace(user_scores=None)
    metrics = objective.metrics()
    objective.update_metrics(metrics, read(backbone, objective, given), given)
    metrics.compute()
    assert metrics.videos.keys() == {"v1"}
    bare = objective.metrics()
    given.target["annotation"][1] = given.target["annotation"][0]
    objective.update_metrics(bare, read(backbone, objective, given), given)
    assert objective.compute_metrics(bare, backbone.fuse, full=True) == {}


def test_videos_that_nobody_judged_have_their_loss_to_be_chosen_by() -> None:
    backbone, objective = model({"unsupervised": 2.0})
    objective.eval()
    given = batch(8, 6, 8)
    for row in (0, 1):
        given.target["annotation"][row] = given.target["annotation"][row]._replace(user_scores=None)
    output = read(backbone, objective, given)
    metrics = objective.metrics()
    objective.update_metrics(metrics, output, given)
    figures = objective.compute_metrics(metrics, backbone.fuse, full=False)
    judged = objective.metrics()
    objective.update_metrics(
        judged,
        type(output)(*(v[2:] for v in output)),
        given._replace(inputs={}, target={"annotation": given.target["annotation"][2:]}, ids=given.ids[2:]),
    )
    expected = unsupervised(output.logits[:2], output.x[:2], output.mask[:2], budget=objective.budget)
    torch.testing.assert_close(figures.pop("unsupervised").float(), expected.detach())
    assert figures == judged.compute()  # of the judged one alone


def test_the_unsupervised_loss_does_not_change_the_features() -> None:
    backbone, objective = model({"unsupervised": 1.0})
    output = read(backbone, objective, batch(8))
    features = torch.randn(1, 8, 4, requires_grad=True)
    unsupervised(output.logits, features, output.mask, budget=0.3).backward()
    assert features.grad is None
