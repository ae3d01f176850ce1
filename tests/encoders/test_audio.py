"""Sound encoders trained from scratch."""

import math

import pytest
import torch

from mmtasks.config import describe, instantiate
from mmtasks.encoders.audio import ConformerAudio, LSTMAudio, TransformerAudio
from mmtasks.encoders.base import Encoder
from mmtasks.encoders.conformer import Convolution
from mmtasks.encoders.normalise import NORMALISATIONS, OverTraining
from mmtasks.encoders.spectrogram import LogMel, SpecAugment
from mmtasks.types import Modality, Tokens

RATE = 16_000
MAKES = {
    "conformer": lambda **options: ConformerAudio(16, num_layers=2, num_heads=2, kernel=5, num_mels=20, **options),
    "transformer": lambda **options: TransformerAudio(16, num_layers=2, num_heads=2, num_mels=20, **options),
    "lstm": lambda **options: LSTMAudio(16, num_layers=2, num_mels=20, **options),
}


@pytest.fixture(params=MAKES)
def encoder(request) -> Encoder:
    return built(MAKES[request.param](dropout=0.0))


def built(encoder: Encoder) -> Encoder:
    torch.manual_seed(0)
    encoder.build({"rate": RATE})
    return encoder


def sound(*seconds: float) -> Modality:
    longest = int(RATE * max(seconds))
    mask = torch.arange(longest)[None] < torch.tensor([int(RATE * s) for s in seconds])[:, None]
    data = torch.randn(len(seconds), longest, generator=torch.Generator().manual_seed(0))
    return Modality(data * mask, mask)


def test_a_token_every_40_ms(encoder) -> None:
    out = encoder.eval()(sound(1.0, 0.5))
    assert out.x.shape == (2, 26, 16) and encoder.width == 16
    assert out.mask.sum(dim=1).tolist() == [26, 13]
    assert not out.x[1, 13:].any()


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000])
def test_the_tokens_of_a_recording_can_be_told_beforehand(encoder, rate: int) -> None:
    encoder.build({"rate": rate})
    for samples in (1, 4 * (rate // 100) - 1, 4 * (rate // 100), 7777, 16_000):
        ones = torch.ones(1, samples)
        assert encoder.count_tokens(samples) == encoder(Modality(ones, ones.bool())).mask.sum(), samples


def test_padding_and_neighbours_change_nothing(encoder) -> None:
    encoder.eval()
    both = sound(1.03, 0.41)
    short = int(RATE * 0.41)
    alone = encoder(Modality(both.data[1:, :short], both.mask[1:, :short])).x
    torch.testing.assert_close(encoder(both).x[1:, : alone.shape[1]], alone, atol=1e-4, rtol=1e-4)


def test_what_stands_under_the_mask_is_not_read(encoder) -> None:
    data, mask = sound(0.5, 0.3)
    noisy = data.masked_fill(~mask, torch.nan)
    torch.testing.assert_close(encoder.eval()(Modality(noisy, mask)).x, encoder(Modality(data, mask)).x)


def test_silence_absence_and_one_sample_stay_finite(encoder) -> None:
    mask = torch.zeros(3, RATE // 2, dtype=torch.bool)
    mask[0], mask[1, 0] = True, True
    out = encoder(Modality(torch.zeros(3, RATE // 2), mask))
    assert out.mask.sum(dim=1).tolist() == [13, 1, 0]
    out.x.square().sum().backward()
    assert out.x.isfinite().all()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in encoder.parameters())


def test_it_travels_as_plain_values(encoder) -> None:
    again = built(instantiate(describe(encoder)))
    again.load_state_dict(encoder.state_dict())
    assert all(weight.numel() and "mel" not in name for name, weight in encoder.state_dict().items())
    torch.testing.assert_close(again.eval()(sound(0.3)).x, encoder.eval()(sound(0.3)).x)


def test_training_hides_parts_that_evaluation_shows() -> None:
    encoder = built(MAKES["transformer"](dropout=0.0))
    one, other = encoder(sound(1.0)).x, encoder(sound(1.0)).x
    assert not torch.allclose(one, other)
    plain = built(MAKES["transformer"](dropout=0.0, spec_augment={"frequencies": 0, "times": 0}))
    torch.testing.assert_close(plain(sound(1.0)).x, plain.eval()(sound(1.0)).x)


def test_dropout_of_attention_is_that_of_all_or_its_own() -> None:
    for given, expected in ((None, 0.3), (0.0, 0.0), (0.2, 0.2)):
        made = built(MAKES["conformer"](dropout=0.3, attention_dropout=given))
        assert {block.attention.dropout for block in made.blocks} == {expected}
        assert {block.dropout.p for block in made.blocks} == {0.3}


def test_a_tone_lights_its_band_and_loudness_does_not_matter() -> None:
    front = LogMel(RATE, 40)
    low = torch.sin(2 * math.pi * 300 * torch.arange(RATE // 2) / RATE)
    high = torch.sin(2 * math.pi * 3000 * torch.arange(RATE // 2) / RATE)
    both = torch.cat([low, high])[None]
    frames = front(Modality(both, torch.ones_like(both, dtype=torch.bool))).x[0]
    rise = frames[60:95].mean(dim=0) - frames[5:45].mean(dim=0)
    assert rise[:8].min() < -1 and rise.argmax() > 20
    quiet = front(Modality(both / 8, torch.ones_like(both, dtype=torch.bool))).x[0]
    assert (frames - quiet).abs().mean() < 0.5
    torch.testing.assert_close(frames.mean(dim=0), torch.zeros(40), atol=1e-4, rtol=0)


@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_normalised_frames_are_small_and_do_not_depend_on_padding(normalise: str) -> None:
    front = LogMel(RATE, 20, normalise=normalise)
    both = sound(0.6, 0.3)
    for _ in range(3):
        front.train()(both)
    frames, mask = front.eval()(both)
    assert frames[mask].abs().mean() < (2 if normalise != "none" else 14) and frames[mask].std() > 0.1
    assert not frames[~mask].any()
    short = int(RATE * 0.3)
    alone = front(Modality(both.data[1:, :short], both.mask[1:, :short])).x
    torch.testing.assert_close(frames[1:, : alone.shape[1]], alone, atol=1e-3, rtol=1e-3)


def test_below_the_loudest_keeps_the_spectrum_of_a_steady_sound_at_any_loudness() -> None:
    tone = torch.sin(2 * math.pi * 3000 * torch.arange(RATE // 2) / RATE)[None]
    front = LogMel(RATE, 40, normalise="loudest")
    loud, quiet = (front(Modality(x, torch.ones_like(x, dtype=torch.bool))).x[0] for x in (tone, tone / 4))
    assert loud[20].max() > 1.3 and loud[20].min() < 0
    torch.testing.assert_close(loud[20].max(), quiet[20].max(), atol=0.05, rtol=0)


def test_statistics_of_training_are_those_of_all_its_frames() -> None:
    torch.manual_seed(0)
    normalise, seen = OverTraining(3), []
    for number in (5, 1, 9):
        frames = 4 * torch.randn(2, number, 3) + torch.tensor([1.0, -2.0, 30.0])
        real = torch.ones(2, number, dtype=torch.bool)
        real[1, number // 2 :] = False
        normalise(frames.masked_fill(~real[..., None], 1e4), real)
        seen.append(frames[real])
    everything = torch.cat(seen)
    torch.testing.assert_close(normalise.mean, everything.mean(dim=0), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(normalise.variance, everything.var(dim=0, correction=0), atol=1e-2, rtol=1e-3)
    before = normalise.mean.clone()
    normalise.eval()(torch.randn(1, 4, 3), torch.ones(1, 4, dtype=torch.bool))
    assert torch.equal(normalise.mean, before)


@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_what_is_hidden_is_the_mean_of_its_band_over_the_utterance(normalise: str) -> None:
    torch.manual_seed(0)
    frames = LogMel(RATE, 20, normalise=normalise).eval()(sound(0.6, 0.3))
    augment = SpecAugment(frequencies=1, width=8, times=1, share=0.5)
    x, mask = augment(frames, centred=normalise == "utterance")
    changed = x != frames.x
    assert 0.1 < changed.float().mean() < 0.9 and not changed[~mask].any()
    for row in range(2):
        mean = frames.x[row, mask[row]].mean(dim=0).expand_as(x[row])
        torch.testing.assert_close(x[row][changed[row]], mean[changed[row]], atol=1e-4, rtol=1e-4)


def test_an_utterance_is_stretched_as_a_whole() -> None:
    torch.manual_seed(0)
    augment = SpecAugment(frequencies=0, times=0, stretch=0.25)
    before = torch.tensor([40, 20, 1, 0] * 16)
    mask = torch.arange(40) < before[:, None]
    ramp = torch.arange(40.0)[None, :, None].expand(64, 40, 3) * mask[..., None]
    x, real = augment(Tokens(ramp, mask))
    after = real.sum(dim=1)
    assert 30 <= after[0::4].min() <= 33 and 44 <= after[0::4].max() <= 50
    assert 15 <= after[1::4].min() <= 17 and 22 <= after[1::4].max() <= 25
    assert (after[2::4] == 1).all() and not after[3::4].any()
    assert torch.equal(real, torch.arange(real.shape[1]) < after[:, None]) and not x[~real].any()
    for row in range(64):
        expected = torch.linspace(0, max(0, int(before[row]) - 1), int(after[row]))  # first and last stay
        torch.testing.assert_close(x[row, : int(after[row])], expected[:, None].expand(-1, 3))
    nothing = augment(Tokens(ramp[:1], torch.zeros_like(mask[:1])))
    assert nothing.x.shape == (1, 1, 3) and not nothing.mask.any()
    assert torch.equal(augment.eval()(Tokens(ramp, mask)).x, ramp)


def test_masks_stay_within_their_limits() -> None:
    torch.manual_seed(0)
    augment = SpecAugment(frequencies=1, width=4, times=1, share=0.25)
    mask = torch.arange(40)[None] < torch.tensor([40, 20])[:, None]
    for _ in range(20):
        hidden = augment(Tokens(torch.ones(2, 40, 10), mask), centred=True).x == 0
        assert hidden.all(dim=1).sum(dim=1).max() <= 5  # a width of 4 may touch five bands
        assert (hidden.all(dim=2) & mask).sum(dim=1).tolist() <= [11, 6]
        assert not hidden.all(dim=2)[1, 20:].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConformerAudio(16, kernel=4), "kernel 4 must be odd"),
        (lambda: ConformerAudio(18, num_heads=4), "multiple of num_heads"),
        (lambda: ConformerAudio(16, attention_dropout=1.0), "attention_dropout 1.0"),
        (lambda: TransformerAudio(15), "must be even"),
        (lambda: LSTMAudio(dropout=1.0), "dropout"),
        (lambda: LSTMAudio(normalise="speaker"), "'speaker' is none of utterance, loudest, training"),
        (lambda: SpecAugment(share=2), "share from 0 to 1"),
        (lambda: SpecAugment(stretch=1.0), "stretch 1.0 must be at least 0 and below 1"),
    ],
)
def test_wrong_options_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_conformer_filters_each_channel_over_time() -> None:
    torch.manual_seed(0)
    convolution = Convolution(6, kernel=5)
    x = torch.randn(3, 9, 6)
    expected = convolution.depthwise(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(convolution._filter(x), expected)
