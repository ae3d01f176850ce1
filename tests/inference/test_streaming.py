"""Words while somebody speaks are those of the whole recording."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmtasks.backbone import Backbone
from mmtasks.config import describe
from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.tokenizer import CharacterTokenizer, WordTokenizer
from mmtasks.data.voice_activity import Detector
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.encoders.base import Encoder
from mmtasks.fusion.mman import MMAN
from mmtasks.heads.ctc import Path as Found
from mmtasks.inference.checkpoint import Model
from mmtasks.inference.speech import Transcriber
from mmtasks.inference.streaming import StreamingTranscriber, _Heard
from mmtasks.objectives.speech import SpeechOutput, Transcription
from mmtasks.types import Batch, Heard, Modality, Tokens

RATE = 16_000


class NotZero(Detector):
    """Speech is what is not zero."""

    def decide(self, frames: torch.Tensor) -> torch.Tensor:
        return (frames.abs().amax(dim=1) > 0).float()


class Mean(Encoder):
    """A token is the mean of its 40 ms, in two features: local, so that context changes nothing."""

    width = 2

    def build(self, facts: dict) -> None: ...

    def learned_facts(self) -> dict:
        return {"token_seconds": 0.04}

    def forward(self, modality: Modality) -> Tokens:
        size = RATE // 25
        x = (
            torch.nn.functional.pad(modality.data, (0, -modality.data.shape[1] % size))
            .unflatten(1, (-1, size))
            .mean(-1)
        )
        return Tokens(torch.stack([x, 1 - x], dim=-1), torch.ones(x.shape, dtype=torch.bool))


class Spelled(Transcription):
    """The mean level of a token in tenths is its symbol: "a" at 0.2, "b" at 0.3, a space at 0.4."""

    def forward(self, tokens, fuse, batch: Batch) -> SpeechOutput:
        level = self.raw(batch.inputs["audio"]).x[..., 0]
        symbol = (level * 10).round().long().clamp(0, 9)
        log_probs = torch.nn.functional.one_hot(symbol, 10).float().log_softmax(-1)
        return SpeechOutput(log_probs, torch.ones(level.shape, dtype=torch.bool))


def transcriber(encoder: Encoder, objective: Transcription, steps: list[str]) -> Transcriber:
    torch.manual_seed(0)
    tokenizer = CharacterTokenizer()
    tokenizer.fit(["ab cd"])
    known = {"vocab_size": tokenizer.vocab_size, "pad_id": 0, "max_length": 8}
    known["tokenizer"] = {"config": describe(tokenizer), "state": tokenizer.state_dict()}
    facts = {"audio": {"rate": RATE, "token_seconds": 0.04}, "transcript": known}
    backbone = Backbone({"audio": encoder}, MMAN(), dim=16)
    backbone.build(facts)
    objective.build(16, facts)
    processors = {"audio": AudioProcessor(RATE, steps)}
    model = Model(Path("x.ckpt"), backbone.eval(), {"speech": objective.eval()}, processors, torch.device("cpu"))
    return Transcriber(model)


def heard(found: list) -> Heard:
    words = list(itertools.chain.from_iterable(said.words for said in found))
    return Heard(" ".join(word.text for word in words), 0.0, words)


@pytest.mark.parametrize(("chunk", "right", "block"), [(0.04, 0.0, 640), (0.2, 0.08, 1000), (0.64, 0.96, 7000)])
def test_no_symbol_is_lost_or_doubled_between_chunks(chunk: float, right: float, block: int) -> None:
    objective = Spelled()
    objective.raw = Mean()
    whole = transcriber(Mean(), objective, [])
    # symbols of 40 ms: blank 0 is given as 0.01, so that it is no silence
    spelled = [0, 3, 3, 3, 0, 3, 4, 4, 0, 2, 4, 0, 0, 3, 3, 4, 2, 2, 2, 5, 5, 6, 0] * 3
    samples = torch.cat([torch.full((640,), max(symbol / 10, 0.01)) for symbol in spelled])
    stream = StreamingTranscriber(whole, detector=NotZero(), chunk=chunk, left=1.0, right=right)
    found = heard(list(stream(samples.split(block))))
    offline = whole.hear([Audio(samples, RATE)])[0]
    assert offline.text.count(" ") > 2
    assert found.text == offline.text
    for word, other in zip(found.words, offline.words, strict=True):
        assert word.start == pytest.approx(other.start) and word.end == pytest.approx(other.end)


def test_with_all_of_the_recording_in_sight_it_is_the_offline_result() -> None:
    conformer = ConformerAudio(16, num_layers=1, num_heads=2, kernel=5, num_mels=20)
    whole = transcriber(conformer, Transcription(), ["loudness"])
    samples = torch.randn(RATE * 2, generator=torch.Generator().manual_seed(0)) * 0.1
    stream = StreamingTranscriber(whole, detector=NotZero(), left=100, right=100)
    found, offline = heard(list(stream(samples.split(3000)))), whole.hear([Audio(samples, RATE)])[0]
    assert offline.text
    assert found.words == offline.words


def test_words_come_before_the_end_and_nothing_where_nobody_speaks() -> None:
    objective = Spelled()
    objective.raw = Mean()
    whole = transcriber(Mean(), objective, [])
    speech = torch.cat([torch.full((640,), symbol / 10) for symbol in [3, 3, 4, 4, 3, 3]])
    taken = SimpleNamespace(seconds=0.0)

    def blocks():
        for block in torch.cat([torch.zeros(RATE), speech, torch.zeros(4 * RATE)]).split(1600):
            taken.seconds += len(block) / RATE
            yield block

    stream = StreamingTranscriber(whole, detector=NotZero(), chunk=0.32, left=2, right=0.32)
    words, when = next((said.words, taken.seconds) for said in stream(blocks()))
    assert len(words) == 1 and abs(words[0].start - 1.0) < 0.05
    assert when <= words[0].end + 2 * 0.32 + 0.32 + 0.2
    assert list(stream(torch.zeros(3 * RATE).split(1600))) == []


@pytest.mark.parametrize("chunk", [0.2, 0.64, 5.0])
def test_a_pause_is_told_once_after_the_words_before_it(chunk: float) -> None:
    objective = Spelled()
    objective.raw = Mean()
    whole = transcriber(Mean(), objective, [])
    speech = torch.cat([torch.full((640,), symbol / 10) for symbol in [3, 3, 4, 4, 5, 3, 3]])
    samples = torch.cat([torch.zeros(RATE), speech, torch.zeros(2 * RATE), speech, torch.zeros(2 * RATE), speech])
    stream = StreamingTranscriber(whole, detector=NotZero(), chunk=chunk, left=2, right=0.32)
    said, spoken = [], ""
    for words, paused in stream(samples.split(1600)):
        spoken += "".join(f" {word.text}" for word in words)
        if paused:
            said.append(spoken)
            spoken = ""
    once = whole.hear([Audio(speech, RATE)])[0].text
    assert len(once) > 1 and said == [f" {once}"] * 3 and not spoken


def test_a_bad_chunk_is_refused() -> None:
    whole = transcriber(Mean(), Transcription(), [])
    with pytest.raises(ValueError, match="chunk 0"):
        StreamingTranscriber(whole, detector=NotZero(), chunk=0)


def test_words_of_a_vocabulary_of_words_come_one_by_one() -> None:
    stream = StreamingTranscriber(transcriber(Mean(), Spelled(), []), detector=NotZero())
    tokenizer = stream.transcriber.objective.tokenizer = WordTokenizer()
    tokenizer.fit(["go to bed"])
    heard = _Heard(0)
    heard.path = Found(tokenizer.encode("go to bed"), [0, 2, 4], [1, 3, 5], 0.0)
    assert [word.text for word in stream._complete(heard, everything=False)] == ["go", "to"]
    assert [word.text for word in stream._complete(heard, everything=True)] == ["bed"]
