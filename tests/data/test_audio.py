"""Reading recordings: formats, parts, damage, and the steps that prepare them."""

import math

import numpy as np
import pytest
import soundfile
import torch

from mmtasks.config import describe, instantiate
from mmtasks.data.audio import Audio, AudioProcessor, loudness, open_audio, resample, trim
from mmtasks.errors import UserError

RATE = 16_000


def tone(seconds: float = 0.5, rate: int = RATE, hertz: float = 440.0) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * rate)) / rate)


def write(path, samples, rate=RATE, **options):
    soundfile.write(path, np.asarray(samples), rate, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options", "close"),
    [
        ("a.wav", {"subtype": "FLOAT"}, 1e-6),
        ("a.wav", {"subtype": "PCM_16"}, 1e-4),
        ("a.flac", {}, 1e-4),
        ("a.ogg", {"subtype": "OPUS"}, 0.1),
        ("a.ogg", {"subtype": "VORBIS"}, 0.1),
    ],
)
def test_formats_give_the_same_samples(tmp_path, name, options, close):
    audio = open_audio(write(tmp_path / name, tone(), **options), "here")
    assert audio.rate == RATE
    assert abs(audio.seconds - 0.5) < 0.01
    assert (audio.samples - tone())[1000:-1000].abs().max() < close


def test_mp3_is_read(tmp_path):
    audio = open_audio(write(tmp_path / "a.mp3", tone()), "here")
    spectrum = torch.fft.rfft(audio.samples).abs()
    assert abs(float(spectrum.argmax()) * RATE / len(audio.samples) - 440) < 5


def test_other_formats_through_av_give_the_same_samples(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
        both = torch.stack([tone(), torch.zeros(RATE // 2)]).numpy()
        frame = av.AudioFrame.from_ndarray((both * 32767).astype(np.int16).T.reshape(1, -1), "s16", "stereo")
        frame.rate, frame.pts = RATE, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    audio = open_audio(path, "here")
    torch.testing.assert_close(audio.samples, tone() / 2, atol=1e-4, rtol=0)
    part = open_audio(path, "here", start=0.1, end=0.3)
    torch.testing.assert_close(part.samples, tone()[1600:4800] / 2, atol=1e-4, rtol=0)


def test_channels_are_averaged_at_any_rate(tmp_path):
    eight = torch.stack([tone(rate=96_000)] * 4 + [torch.zeros(48_000)] * 4, dim=1)
    audio = open_audio(write(tmp_path / "a.wav", eight, 96_000, subtype="FLOAT"), "here")
    torch.testing.assert_close(audio.samples, tone(rate=96_000) / 2)
    assert AudioProcessor(RATE, [])(audio).shape == (8000,)


def test_a_part_is_what_lies_between_start_and_end(tmp_path):
    path = write(tmp_path / "a.flac", tone(1.0))
    part = open_audio(path, "here", start=0.25, end=0.75)
    torch.testing.assert_close(part.samples, tone(1.0)[4000:12000], atol=1e-4, rtol=0)


def broken(tmp_path, kind):
    path = tmp_path / "a.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no recording at all")
    elif kind == "nan":
        write(path, torch.full((100,), torch.nan), subtype="FLOAT")
    elif kind == "no samples":
        write(path, torch.zeros(0))
    elif kind == "cut wav":
        path.write_bytes(write(path, tone()).read_bytes()[:-1000])
    elif kind == "cut flac":
        path = tmp_path / "a.flac"
        path.write_bytes(write(path, tone(2.0)).read_bytes()[:-1000])
    elif kind == "damaged flac":
        noise = 0.1 * torch.randn(20 * RATE, generator=torch.Generator().manual_seed(0))
        data = bytearray(write(tmp_path / "a.flac", noise).read_bytes())
        data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
        path = tmp_path / "a.flac"
        path.write_bytes(data)
    elif kind == "cut opus":
        path = write(tmp_path / "a.ogg", tone(5.0), subtype="OPUS")
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "folder":
        path = tmp_path
    elif kind == "long name":
        path = tmp_path / ("a" * 300 + ".wav")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such recording"),
        ("folder", "no such recording"),
        ("empty", "the file is empty"),
        ("text", "not a recording"),
        ("nan", "not numbers"),
        ("no samples", "no samples"),
        ("cut wav", "cut off"),
        ("cut flac", "cut off|not a recording"),
        ("damaged flac", "damaged or cut off"),
        ("cut opus", "cut off"),
        ("long name", "cannot be read .File name too long.; check the path"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path, kind, message):
    pytest.importorskip("av")
    with pytest.raises(UserError, match=message) as error:
        open_audio(broken(tmp_path, kind), "m.jsonl:3")
    assert str(error.value).startswith("m.jsonl:3: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 2.0}, "ends before"),
        ({"start": 0.4, "end": 0.2}, "give 0 <= start < end"),
        ({"start": -1.0}, "give 0 <= start < end"),
        ({"max_seconds": 0.3}, "longer than 0 s"),
    ],
)
def test_impossible_parts_are_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        open_audio(write(tmp_path / "a.wav", tone()), "here", **options)


def test_one_sample_is_a_recording(tmp_path):
    audio = open_audio(write(tmp_path / "a.wav", torch.ones(1)), "here")
    assert AudioProcessor()(audio).shape == (1,)


def test_resampling_keeps_the_tone():
    audio = resample(Audio(tone(1.0, 44_100), 44_100), RATE)
    assert audio.rate == RATE
    torch.testing.assert_close(audio.samples[500:-500], tone(1.0)[500:-500], atol=5e-3, rtol=0)


def test_loudness_sets_the_level_and_leaves_silence_alone():
    level = loudness(Audio(tone(), RATE), decibels=-20).samples.square().mean().sqrt()
    torch.testing.assert_close(level, torch.tensor(0.1))
    assert not loudness(Audio(torch.zeros(100), RATE)).samples.any()


def test_trim_cuts_silence_at_both_ends():
    padded = torch.cat([torch.zeros(RATE), tone(), torch.zeros(RATE)])
    trimmed = trim(Audio(padded, RATE), keep=0.0).samples
    torch.testing.assert_close(trimmed, tone())
    assert len(trim(Audio(padded, RATE), keep=0.1).samples) == len(tone()) + 3200
    assert len(trim(Audio(torch.zeros(RATE), RATE)).samples) == RATE


def test_the_processor_travels_as_plain_values():
    processor = AudioProcessor(8000, [{"trim": {"keep": 0.0}}, "loudness"])
    again = instantiate(describe(processor))
    audio = Audio(torch.cat([torch.zeros(RATE), tone()]), RATE)
    torch.testing.assert_close(again(audio), processor(audio))


@pytest.mark.parametrize("step", ["louder", {"trim": 3}, {"trim": {"wrong": 1}}, {}])
def test_unknown_steps_are_refused(step):
    with pytest.raises(ValueError, match="audio step"):
        AudioProcessor(steps=[step])
