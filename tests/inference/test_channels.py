"""A model that equalises is told whose voice it hears: of a file, of a live recording, of a manifest's speakers."""

import json
from functools import partial
from pathlib import Path

import pytest
import soundfile
import torch

from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.channel import Channel
from mmtasks.data.speech_rows import SpeechRow
from mmtasks.data.speech_sources import SpeechManifest
from mmtasks.data.speech_usable import usable_utterances
from mmtasks.inference import speech_commands
from mmtasks.inference.speech import Transcriber
from mmtasks.inference.streaming import StreamingTranscriber
from tests.inference.test_streaming import RATE, Mean, NotZero, Spelled, transcriber

EQUALISING = AudioProcessor(RATE, ["equalise", "loudness"])


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Channel | None]:
    """The channel of each recording that is prepared, in turn."""
    channels: list[Channel | None] = []
    prepare = AudioProcessor.prepare

    def noted(self: AudioProcessor, audio: Audio) -> Audio:
        channels.append(audio.channel)
        return prepare(self, audio)

    monkeypatch.setattr(AudioProcessor, "prepare", noted)
    return channels


def equalising() -> Transcriber:
    objective = Spelled()
    objective.raw = Mean()
    return transcriber(Mean(), objective, ["equalise", "loudness"])


def test_pieces_of_a_recording_bring_the_channel_of_all_before_and_beside_them(told: list[Channel]) -> None:
    recording = torch.cat([torch.cat([noise(1.0, seed), torch.zeros(RATE)]) for seed in range(6)])
    model = Transcriber(equalising().model, batch_seconds=3.0, at_once=1)
    list(model.segments(recording.split(9000), NotZero()))
    frames = [channel.frames for channel in told]
    assert len(frames) == 6
    steps = sorted(set(frames))
    assert len(steps) == 3
    assert frames == [step for step in steps for _ in range(2)]
    whole = Channel.together([Channel.of(noise(1.0, seed), RATE) for seed in range(6)])
    assert steps[-1] == pytest.approx(whole.frames, rel=0.1)


def test_a_live_recordings_channel_is_known_better_and_better(told: list[Channel]) -> None:
    stream = StreamingTranscriber(equalising(), detector=NotZero(), chunk=0.64, left=1.0, right=0.32)
    list(stream(noise(4.0).split(1600)))
    frames = [channel.frames for channel in told]
    assert len(frames) > 3
    assert frames == sorted(set(frames))


def manifest(folder: Path) -> Path:
    rows = []
    for i, speaker in enumerate(["ann", "ann", "bob"]):
        soundfile.write(folder / f"{i}.wav", noise(1.0 + i, i).numpy(), RATE, subtype="FLOAT")
        rows.append(json.dumps({"id": str(i), "audio": f"{i}.wav", "text": "ab cd", "speaker": speaker}))
    (folder / "rows.jsonl").write_text("\n".join(rows))
    return folder / "rows.jsonl"


def expected(*seeds: int) -> Channel:
    return Channel.together([Channel.of(noise(1.0 + seed, seed), RATE) for seed in seeds])


def test_predict_tells_each_speakers_channel(tmp_path: Path, told: list[Channel]) -> None:
    model = equalising()
    rows = SpeechManifest(str(manifest(tmp_path)))
    known = speech_commands.with_channels(rows, model.processor)
    audios = [audio for _, audio in speech_commands._loaded(known, model)]
    model.hear([audio for audio in audios if isinstance(audio, Audio)])
    for channel, seeds in zip(told, [(0, 1), (0, 1), (2,)], strict=True):
        torch.testing.assert_close(channel.total, expected(*seeds).total, rtol=1e-4, atol=1e-2)


def test_training_rows_bring_their_speakers_channel(tmp_path: Path) -> None:
    check = partial(
        usable_utterances,
        SpeechManifest(str(manifest(tmp_path))),
        steps=["whitespace"],
        characters_per_second=(0.1, 40.0),
        max_seconds=30.0,
        max_bad_fraction=0.0,
    )
    rows: list[SpeechRow] = check(EQUALISING)
    assert [row.load().channel.frames for row in rows] == [expected(0, 1).frames] * 2 + [expected(2).frames]
    assert all(row.load().channel is None for row in check(AudioProcessor(RATE, ["loudness"])))
    keys = [[row.key for row in check(AudioProcessor(RATE, steps))] for steps in (["equalise"], [])]
    assert not set(keys[0]) & set(keys[1])
