"""Where somebody speaks in a recording."""

import sys
from typing import Any

import torch
from torch import Tensor

from mmtasks.data.resampling import resampled

RATE = 16_000
FRAME = 512
"""Samples of a decision at ``RATE``: 32 ms."""
FRAME_SECONDS = FRAME / RATE
SPEECH, SILENCE = 0.5, 0.35
"""Probabilities above which speech begins and below which it ends."""


class Detector:
    """Probability of speech in each 32 ms of a signal that is given piece by piece. Subclasses decide."""

    quiet = 0.0
    """Seconds of silence that it needs around a recording that was cut close to its words."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another signal begins."""
        self._rest = torch.zeros(0)

    def __call__(self, samples: Tensor, rate: int) -> Tensor:
        """The next samples (T,) -> (frames,) of those that are complete by now."""
        if len(samples):
            samples = resampled(samples, rate, RATE)
        samples = torch.cat([self._rest, samples])
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:]
        return self.decide(samples[:whole].view(-1, FRAME)) if whole else torch.zeros(0)

    def decide(self, frames: Tensor) -> Tensor:
        """(F, 512) -> (F,) in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__}.decide")


class SileroDetector(Detector):
    """The recurrent network of the package silero-vad.

    Stretches of 4 s run side by side as one batch, each after a second of warming up: quicker than frame after frame.
    """

    STRETCH, WARM = 125, 31

    def __init__(self) -> None:
        super().__init__()
        threads = torch.get_num_threads()
        import silero_vad

        torch.set_num_threads(threads)  # importing it leaves torch with one
        self._model: Any = silero_vad.load_silero_vad()

    def restart(self) -> None:
        """Another signal begins, after silence."""
        super().restart()
        self._before = torch.zeros(self.WARM, FRAME)

    @torch.inference_mode()
    def decide(self, frames: Tensor) -> Tensor:
        """(F, 512) -> (F,)."""
        count = len(frames)
        known = torch.cat([self._before, frames])
        self._before = known[-self.WARM :]
        stretch = min(self.STRETCH, count)
        number = -(-count // stretch)
        known = torch.cat([known, torch.zeros(number * stretch - count, FRAME)])
        stretches = known.unfold(0, self.WARM + stretch, stretch).permute(2, 0, 1)  # [frame, stretch, sample]
        self._model.reset_states()
        probabilities = torch.cat([self._model(frame.contiguous(), RATE) for frame in stretches], dim=1)
        return probabilities[:, self.WARM :].flatten()[:count]


class EnergyDetector(Detector):
    """Speech is what is 15 dB louder than the quietest tenth of the last half minute, and above -55 dB."""

    quiet = 0.5

    def restart(self) -> None:
        """Another signal begins; the levels of the one before do not count."""
        super().restart()
        self._levels = torch.zeros(0)

    def decide(self, frames: Tensor) -> Tensor:
        """(F, 512) -> (F,) of 0 and 1."""
        levels = 10 * frames.square().mean(dim=1).clamp(min=1e-12).log10()
        self._levels = torch.cat([self._levels, levels])[-max(1000, len(levels)) :]
        return (levels > max(float(self._levels.quantile(0.1)) + 15, -55.0)).float()


def best_detector() -> Detector:
    """The network if its package is installed, else the level; a line on stderr says so in that case."""
    try:
        return SileroDetector()
    except ImportError:
        told = "silence is found by level alone; for a better cut: pip install mmtasks[speech]"
        print(f"mmtasks: warning: {told}", file=sys.stderr)
        return EnergyDetector()
