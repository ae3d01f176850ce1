"""Noise at its level, echoes of their length, both the same for the same draw."""

import random

import pytest
import torch

from mmtasks.data.acoustics import NOISES, Acoustics, add_noise, make_noise, reverberate
from mmtasks.data.audio import Audio

RATE = 8000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def tone(seconds: float = 1.0) -> Audio:
    return Audio(0.3 * torch.sin(2 * torch.pi * 440 / RATE * torch.arange(int(seconds * RATE))), RATE)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("decibels", [0.0, 20.0])
def test_noise_has_the_wanted_level(kind, decibels):
    speech = tone()
    noise = add_noise(speech, kind, decibels, generator()).samples - speech.samples
    ratio = 10 * torch.log10(speech.samples.square().mean() / noise.square().mean())
    torch.testing.assert_close(ratio.item(), decibels, atol=0.01, rtol=0)


def test_colours_of_noise():
    def octave(kind: str, low: float) -> float:
        power = torch.fft.rfft(make_noise(kind, 1 << 16, RATE, generator())).abs().square()
        hertz = torch.fft.rfftfreq(1 << 16, 1 / RATE)
        return power[(hertz >= low) & (hertz < 2 * low)].sum().item()

    assert 1.7 < octave("white", 1600) / octave("white", 800) < 2.3  # twice the bandwidth
    assert 0.8 < octave("pink", 1600) / octave("pink", 800) < 1.25
    assert octave("babble", 1600) / octave("babble", 800) < 0.4
    with pytest.raises(ValueError, match="noise 'brown' is none of white"):
        make_noise("brown", 8, RATE, generator())


def test_an_echo_follows_the_sound_and_falls_by_60_decibels():
    click = Audio(torch.zeros(RATE), RATE)
    click.samples[100] = 1.0
    wet = reverberate(click, 0.4, 0.0, generator()).samples
    assert len(wet) == RATE and wet[:100].abs().max() < 1e-5
    torch.testing.assert_close(wet.square().sum(), click.samples.square().sum())
    early, late = (wet[101 + int(s * RATE) :][: RATE // 20].square().mean() for s in (0.0, 0.2))
    assert 25 < 10 * torch.log10(early / late) < 35
    assert wet[101 + int(0.41 * RATE) :].abs().max() < 1e-4


def test_silence_stays_silent_and_one_sample_one_sample():
    change = Acoustics(noise=1, reverberation=1)
    assert change(Audio(torch.zeros(100), RATE), random.Random(0)).samples.abs().max() == 0
    assert change(Audio(torch.ones(1), RATE), random.Random(0)).samples.shape == (1,)


def test_the_same_draw_gives_the_same_room_and_none_leaves_the_recording():
    change = Acoustics(noise=1, reverberation=1)
    one, again, other = (change(tone(), random.Random(seed)).samples for seed in (0, 0, 1))
    assert one.equal(again) and not one.equal(other)
    assert Acoustics(noise=0, reverberation=0)(tone(), random.Random(0)).samples.equal(tone().samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": 2}, "noise 2"),
        ({"reverberation": -1}, "reverberation -1"),
        ({"noise_decibels": (20, 10)}, "noise_decibels"),
        ({"reverberation_seconds": (0, 1)}, "reverberation_seconds"),
        ({"noises": ["brown"]}, "among white, pink, babble"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Acoustics(**options)
