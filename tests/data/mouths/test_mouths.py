"""Films of speaking mouths: what is said can be seen, in time, the same on every run."""

import random

import pytest
import torch

from mmtasks.data.mouths.face import Camera, Face, draw_camera, draw_face
from mmtasks.data.mouths.film import MouthFilm
from mmtasks.data.mouths.motion import move
from mmtasks.data.mouths.render import render
from mmtasks.data.mouths.visemes import REST, SHAPES, VISEMES, Seen, seen, shapes_of
from mmtasks.data.spoken.source import SpokenCommands
from mmtasks.data.spoken.synthesis import Phoneme
from mmtasks.data.spoken.voices import ACCENTS
from mmtasks.data.video_features import VideoProcessor
from mmtasks.errors import UserError

FACE = Face((0.8, 0.6, 0.5), (0.7, 0.35, 0.35), 0.75, 0.9, 0.2, 0.25)
STILL = Camera(0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
VIDEO = VideoProcessor(25, size=[16, 24])


def still(sound: str, *, face: Face = FACE, camera: Camera = STILL, size: tuple[int, int] = (16, 24)) -> torch.Tensor:
    """A picture (3, height, width) of a sound that is held."""
    shapes = torch.tensor([SHAPES[sound][:-1]])
    return render(shapes, torch.zeros(1), face, camera, size=size)[0]


def test_stress_and_length_do_not_show_and_diphthongs_are_two_shapes() -> None:
    assert shapes_of("ˈiː") == shapes_of("i") == [SHAPES["i"]]
    assert shapes_of("ˌaʊ") == [SHAPES["a"], SHAPES["ʊ"]]
    assert shapes_of("tʃ") == [SHAPES["tʃ"]] != shapes_of("t")
    assert shapes_of("") == shapes_of("?") == [REST]


def test_shapes_of_a_sound_share_its_time() -> None:
    shown = seen([Phoneme("p", 0.0, 0.1), Phoneme("ˈaɪ", 0.1, 0.3)])
    assert [(round(s.start, 3), round(s.end, 3)) for s in shown] == [(0.0, 0.1), (0.1, 0.2), (0.2, 0.3)]


def test_lips_meet_for_a_stop_between_vowels_and_move_smoothly() -> None:
    said = [Seen(SHAPES["a"], 0.0, 0.2), Seen(SHAPES["p"], 0.2, 0.28), Seen(SHAPES["a"], 0.28, 0.5)]
    opening = move(said, torch.arange(0, 0.5, 0.01))[:, 0]
    assert opening[24] < 0.05 and opening[10] > 0.9 and opening[39] > 0.9
    assert opening.diff().abs().max() < 0.4
    assert move([], torch.zeros(2))[:, 0].tolist() == pytest.approx([REST.opening] * 2)


def test_a_vowel_is_dark_inside_teeth_are_bright_and_a_stop_is_neither() -> None:
    grey = {sound: still(sound, size=(48, 72)).mean(dim=0) for sound in "apios"}
    dark = {sound: int((picture < 0.15).sum()) for sound, picture in grey.items()}
    assert dark["a"] > dark["o"] > dark["i"] > dark["p"] == 0
    bright = {sound: int((picture > 0.8).sum()) for sound, picture in grey.items()}
    assert bright["s"] > 50 and bright["p"] == bright["o"] == 0


def test_every_viseme_looks_different() -> None:
    pictures = [still(sounds.split()[0]) for sounds in VISEMES]
    gaps = [(a - b).abs().mean() for i, a in enumerate(pictures) for b in pictures[:i]]
    assert min(gaps) > 0.003


@pytest.mark.parametrize("size", [(16, 24), (24, 24), (20, 60)])
def test_a_mouth_fills_pictures_of_any_shape(size: tuple[int, int]) -> None:
    picture = render(torch.tensor([SHAPES["a"][:-1]]), torch.zeros(1), FACE, STILL, size=size)[0]
    lips = (picture - torch.tensor(FACE.skin)[:, None, None]).abs().sum(dim=0) > 0.2
    assert lips.any() and not (lips[0].any() or lips[:, 0].any() or lips[:, -1].any())
    with pytest.raises(ValueError, match=r"size \[4, 24\] must be at least 8"):
        render(torch.zeros(1, 4), torch.zeros(1), FACE, STILL, size=(4, 24))


def test_faces_and_cameras_differ_and_repeat_with_their_seed() -> None:
    looks = [still("a", face=draw_face(random.Random(k)), camera=draw_camera(random.Random(k))) for k in (0, 1, 0)]
    assert looks[0].equal(looks[2]) and not looks[0].equal(looks[1])


def test_all_sounds_of_the_commands_have_a_shape_of_their_own() -> None:
    espeak = pytest.importorskip("espeakng_loader")
    assert espeak
    source = SpokenCommands("test", number=12)
    accents = {row.speaker.split("+")[0] for row in source}
    assert len(accents) > len(ACCENTS) // 2
    unknown = {p.ipa for i in range(12) for p in source._said(i).phonemes if p.ipa and shapes_of(p.ipa) == [REST]}
    assert not unknown


def test_a_row_of_the_spoken_world_has_a_film_as_long_as_its_sound() -> None:
    pytest.importorskip("espeakng_loader")
    first, again, other = (SpokenCommands("val", number=2, seed=seed)[1] for seed in (0, 0, 1))
    film, audio = first.film(VIDEO), first.load()
    assert film.shape[1:] == (3, 16, 24) and film.min() >= 0 and film.max() <= 1
    assert len(film) / 25 - 1 / 25 <= audio.seconds <= len(film) / 25
    assert film.equal(again.film(VIDEO)) and not torch.equal(film[:20], other.film(VIDEO)[:20])
    slower = first.film(VideoProcessor(12.5, size=[16, 24]))
    torch.testing.assert_close(slower, film[::2], atol=0.2, rtol=0)


def test_a_film_needs_a_size() -> None:
    from mmtasks.data.images import ImageProcessor

    film = MouthFilm(lambda: pytest.fail("opened"), FACE, STILL)
    with pytest.raises(UserError, match=r"video.size: films of drawn mouths need"):
        film(VideoProcessor(25, size=None, image=ImageProcessor()))
