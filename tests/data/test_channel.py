"""The average spectrum of a speaker, and the filter that takes it away."""

import pytest
import torch

from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.channel import Channel, flatten
from mmtasks.data.speech_channels import with_channels
from mmtasks.data.speech_rows import SpeechRow
from mmtasks.errors import UserError

RATE = 8000
MICROPHONE = torch.tensor([1.0, -0.9])
"""Lets little through of what is low."""


def noise(seconds: float = 2.0, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def through_microphone(samples: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.conv1d(samples[None, None], MICROPHONE.flip(0)[None, None])[0, 0]


def decibels(samples: torch.Tensor) -> torch.Tensor:
    channel = Channel.of(samples, RATE)
    return 10 * (channel.total / channel.frames / torch.tensor(10.0).log())


def test_two_microphones_sound_alike_afterwards():
    plain, thin = noise(), through_microphone(noise(seed=1))
    before = (decibels(plain) - decibels(thin))[4:]
    flat = [decibels(flatten(samples, RATE, Channel.of(samples, RATE))) for samples in (plain, thin)]
    after = (flat[0] - flat[1])[4:]
    assert before.std() > 4
    assert after.std() < 1


def test_high_bands_fall_by_six_decibels_an_octave():
    flat = decibels(flatten(noise(20.0), RATE, Channel.of(noise(20.0), RATE)))
    at = {hertz: int(hertz / RATE * 256) for hertz in (1000, 2000, 3800)}
    assert float(flat[at[1000] - 4 : at[1000] + 5].mean() - flat[at[2000] - 4 : at[2000] + 5].mean()) == pytest.approx(
        6, abs=1
    )


def test_nothing_moves_in_time():
    click = torch.zeros(RATE)
    click[3000] = 1.0
    assert int(flatten(click, RATE, Channel.of(noise(), RATE)).abs().argmax()) == 3000


@pytest.mark.parametrize("samples", [torch.zeros(RATE), torch.ones(10), torch.zeros(0)])
def test_silence_and_clicks_stay_as_they_are(samples):
    channel = Channel.of(samples, RATE)
    assert channel.frames == 0
    assert flatten(samples, RATE, channel) is samples


def test_a_speakers_channel_is_that_of_all_his_recordings():
    parts = [noise(1.0, seed) for seed in range(3)]
    whole = Channel.together([Channel.of(part, RATE) for part in parts])
    assert whole.frames == sum(Channel.of(part, RATE).frames for part in parts)
    torch.testing.assert_close(whole.total, sum(Channel.of(part, RATE).total for part in parts))


def rows() -> list[SpeechRow]:
    def broken() -> Audio:
        raise UserError("row 4: no such recording")

    plain, thin = (lambda: Audio(noise(), RATE)), (lambda: Audio(through_microphone(noise(seed=1)), RATE))
    loads = [("ann", plain), ("bob", thin), ("ann", thin), ("", plain), ("bob", broken)]
    return [SpeechRow(str(i), "one", load, f"row {i}", speaker=who) for i, (who, load) in enumerate(loads)]


def test_rows_bring_their_speakers_channel():
    known = with_channels(rows(), AudioProcessor(RATE, ["equalise"]))
    ann, bob = known[0].load().channel, known[1].load().channel
    assert ann is not None
    assert bob is not None
    assert known[2].load().channel is ann
    torch.testing.assert_close(bob, Channel.of(rows()[1].load().samples, RATE))
    assert ann.frames == bob.frames + Channel.of(noise(), RATE).frames


def test_unknown_speakers_and_broken_recordings_stay_as_they_are():
    known = with_channels(rows(), AudioProcessor(RATE, ["equalise"]))
    assert known[3].load().channel is None
    with pytest.raises(UserError, match="row 4"):
        known[4].load()


def test_the_step_uses_the_given_channel_else_the_recordings_own():
    equalised = AudioProcessor(RATE, ["equalise"])
    samples, channel = noise(), Channel.of(through_microphone(noise(seed=1)), RATE)
    torch.testing.assert_close(
        equalised(Audio(samples, RATE, channel=channel)), flatten(samples, RATE, channel), rtol=0, atol=0
    )
    own = flatten(samples, RATE, Channel.of(samples, RATE))
    torch.testing.assert_close(equalised(Audio(samples, RATE)), own, rtol=0, atol=0)


def test_only_who_equalises_wants_to_know_channels():
    assert AudioProcessor(RATE, [{"equalise": {}}, "loudness"]).equalises
    assert not AudioProcessor(RATE, ["trim"]).equalises
