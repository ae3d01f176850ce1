"""The film of a mouth that says something."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mmtasks.data.mouths.face import Camera, Face
from mmtasks.data.mouths.motion import move
from mmtasks.data.mouths.render import render
from mmtasks.data.mouths.visemes import seen
from mmtasks.data.speech_film import Film
from mmtasks.data.spoken.synthesis import Said
from mmtasks.data.video_features import VideoProcessor
from mmtasks.errors import UserError


class MouthFilm(Film):
    """Drawn anew each time it is opened, each time the same.

    Args:
        speak: gives what is said, with the times of its sounds.
        face: whose mouth it is.
        camera: how it is filmed.
        seed: of the pictures' grain.
    """

    def __init__(self, speak: Callable[[], Said], face: Face, camera: Camera, *, seed: int = 0) -> None:
        self.speak = speak
        self.face = face
        self.camera = camera
        self.seed = seed

    def __call__(self, video: VideoProcessor) -> Tensor:
        """Pictures (T, 3, H, W) at the processor's rate and size."""
        if video.size is None:
            raise UserError("video.size: films of drawn mouths need a height and a width")
        audio, phonemes = self.speak()
        seconds = torch.arange(math.ceil(audio.seconds * video.rate)) / video.rate
        size = video.size[0], video.size[1]
        return render(move(seen(phonemes), seconds), seconds, self.face, self.camera, size=size, seed=self.seed)
