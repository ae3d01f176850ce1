"""What films sound like, and that a model of their sound finds events that it cannot see."""

import pytest
import torch

from mmtasks.backbone import Backbone
from mmtasks.data.films.sound import render_sound
from mmtasks.data.films.source import Films
from mmtasks.data.films.world import FPS
from mmtasks.data.summary import SummaryDataModule
from mmtasks.data.summary_rows import SummaryRow, SummarySource
from mmtasks.data.video_sound import SoundProcessor
from mmtasks.encoders.log_mel import LogMelAudio
from mmtasks.encoders.video import VideoEncoder
from mmtasks.fusion.mman import MMAN
from mmtasks.objectives.summary import SummaryScoring

RATE = 8000


def test_collisions_and_appearances_are_heard_when_they_happen_and_nothing_else() -> None:
    for i in range(3):
        film = Films("val", number=3).film(i)
        samples = render_sound(film, rate=RATE, seed=i)
        assert len(samples) == film.n_frames / FPS * RATE
        loud = samples.abs().view(film.n_frames, -1).amax(dim=1) > 0.05
        for event in film.events:
            heard = event.kind in ("collision", "appearance")
            assert loud[event.first].item() is heard
            assert not loud[event.first - 1]
    assert torch.equal(samples, render_sound(film, rate=RATE, seed=i))
    assert not torch.equal(samples, render_sound(film, rate=RATE, seed=i + 1))
    with pytest.raises(ValueError, match="rate must be at least 4000, got 100"):
        render_sound(film, rate=100)


def test_a_film_comes_with_the_sound_around_each_frame() -> None:
    row = Films("val", number=1, size=16, sound=SoundProcessor(LogMelAudio(4), rate=RATE))[0]
    sound = row.sound()
    assert sound.shape == (row.annotation.n_frames, 4)
    assert torch.equal(sound, row.sound())
    assert Films("val", number=1, size=16)[0].sound is None


class Unseen(SummarySource):
    """Rows of films for who waits for collisions; all frames look alike."""

    def __init__(self, split: str, number: int) -> None:
        films = Films(split, number=number, size=16, sound=SoundProcessor(LogMelAudio(8), rate=RATE))
        rows = [
            films[2 * i + film.named.index("collision")]
            for i, film in enumerate(map(films.film, range(number)))
            if "collision" in film.named
        ]
        self.rows = [_unseen(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> SummaryRow:
        return self.rows[index]


def _unseen(row: SummaryRow) -> SummaryRow:
    blank, sound = torch.zeros(row.annotation.n_frames, 1), row.sound()
    return SummaryRow(row.id, row.where, blank.clone, row.annotation, "", row.target, sound=sound.clone)


def test_what_cannot_be_seen_is_found_by_its_sound_in_the_fusion() -> None:
    torch.manual_seed(0)
    data = SummaryDataModule(Unseen("train", 60), Unseen("val", 16), sound=True, batch_size=8, eval_batch_size=16)
    data.setup()
    backbone = Backbone(
        {"video": VideoEncoder(32), "sound": VideoEncoder(32)}, MMAN(), dim=32, timed=["video", "sound"]
    )
    backbone.build(data.facts())
    objective = SummaryScoring()
    objective.build(32, data.facts())
    optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=5e-3)
    for _ in range(12):
        for batch in data.train_dataloader():
            optimizer.zero_grad()
            output = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
            sum(objective.losses(output, batch).values()).backward()
            optimizer.step()
    taus = []
    for heard in (True, False):
        metrics, batch = objective.metrics(), next(iter(data.val_dataloader()))
        sound = batch.inputs["sound"]
        inputs = {**batch.inputs, "sound": sound._replace(mask=sound.mask & heard)}
        output = objective(backbone.encode(inputs), backbone.fuse, batch)
        objective.update_metrics(metrics, output, batch)
        taus.append(metrics.compute()["tau"].item())
    assert taus[0] > 0.3, taus
    assert abs(taus[1]) < 0.15
