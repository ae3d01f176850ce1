"""Speech: the same each time, whatever else is said, by voices that differ."""

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mmtasks.data.spoken.synthesis import Voice, synthesise
from mmtasks.errors import UserError

espeak = pytest.importorskip("espeakng_loader")
TEXT = "turn the light off"
VOICES = [Voice("en-us", "f2"), Voice("en", "klatt4", 130, 30), Voice("en-gb-scotland", "m1", 150, 70)]


def spoken(number: int) -> bytes:
    return synthesise(TEXT, VOICES[number]).audio.samples.numpy().tobytes()


def test_speech_sounds_for_a_plausible_time():
    audio = synthesise(TEXT, VOICES[0]).audio
    assert audio.rate == 22_050 and 0.8 < audio.seconds < 2
    assert 0.02 < audio.samples.square().mean().sqrt() < 0.5 and audio.samples.abs().max() <= 1
    loud = (audio.samples.abs() > 0.01).nonzero()
    assert loud[0] < 0.15 * audio.rate and loud[-1] > len(audio.samples) - 0.15 * audio.rate


def test_sounds_follow_each_other_and_vowels_are_louder_than_stops():
    audio, phonemes = synthesise("a pet", VOICES[0])
    assert [p.ipa.strip("ˈˌ") for p in phonemes if p.ipa] == ["ɐ", "p", "ɛ", "t"]
    assert [p.start for p in phonemes[1:]] == [p.end for p in phonemes[:-1]] and phonemes[-1].end == audio.seconds
    pieces = {p.ipa.strip("ˈˌ"): audio.samples[int(p.start * audio.rate) : int(p.end * audio.rate)] for p in phonemes}
    assert pieces["ɛ"].square().mean() > 10 * pieces["p"].square().mean() > 0


def test_the_same_text_and_voice_give_the_same_samples_whatever_was_said_before():
    first = [spoken(number) for number in range(3)]
    synthesise("something else entirely", Voice("en", "f3", 200, 90))
    assert [spoken(number) for number in (2, 1, 0)] == first[::-1]


def test_voices_speeds_and_pitches_differ():
    voice = VOICES[0]
    changed = [voice._replace(variant="m1"), voice._replace(accent="en"), voice._replace(pitch=70)]
    sounds = {synthesise(TEXT, one).audio.samples.numpy().tobytes() for one in (voice, *changed)}
    assert len(sounds) == 4
    slow, fast = (synthesise(TEXT, voice._replace(speed=speed)).audio.seconds for speed in (120, 240))
    assert slow > 1.5 * fast


def test_threads_and_forked_processes_give_the_same_samples():
    expected = [spoken(number) for number in range(3)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(spoken, [0, 1, 2] * 3)) == expected * 3
        busy = [pool.submit(spoken, number) for number in (0, 1, 2) * 3]
        with multiprocessing.get_context("fork").Pool(2) as processes:
            assert processes.map(spoken, range(3)) == expected
        assert [future.result() for future in busy] == expected * 3


def test_nothing_to_say_is_silence():
    assert synthesise("", VOICES[0]).audio.samples.abs().sum() == 0


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        (Voice("xx-yy"), "accent 'xx-yy'"),
        (Voice(variant="nobody"), "variant 'nobody' is none of espeak-ng's: .*klatt"),
        (Voice(speed=20), "speed 20 must be 80 to 450"),
        (Voice(pitch=100), "pitch 100"),
    ],
)
def test_an_impossible_voice_is_named(voice, message):
    with pytest.raises(ValueError, match=message):
        synthesise(TEXT, voice)
    assert torch.isfinite(synthesise(TEXT, VOICES[0]).audio.samples).all()


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"^speech synthesis needs espeak-ng: pip install mmtasks\[synthesis\]$"):
        synthesise(TEXT, Voice(variant="m3"))
