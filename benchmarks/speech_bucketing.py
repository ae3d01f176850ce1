"""Batches of utterances about equally long against batches drawn at random: seconds of speech a second, the same model.

Both pad to the longest of a batch and keep batch size * longest below the same number of seconds. Recordings are
decoded before the clock starts. ``ratio`` is of sentences and telephone prompts together, from one word to a minute;
``ratio_librispeech`` of sentences alone, nearly all of them long.
"""

import random
import time

import torch

from benchmarks.result import write_result
from benchmarks.training import SEED
from mmtasks.backbone import Backbone
from mmtasks.data.bucketing import LengthBatches
from mmtasks.data.speech import SpeechDataModule
from mmtasks.data.speech_dataset import Collate
from mmtasks.data.speech_sources import SpeechManifest
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import CharacterTokenizer
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.fusion.mman import MMAN
from mmtasks.objectives.speech import Transcription
from mmtasks.tasks.speech import SpeechToText
from mmtasks.types import Batch

SENTENCES = "$MMTASKS_DATA/mini_librispeech/train.jsonl"
PROMPTS = "$MMTASKS_DATA/asterisk_en/all.jsonl"
FEW = 200
BUDGET = 120.0
ROUNDS = 3

Plan = list[list[int]]


def main() -> None:
    """Time both kinds of batches on both collections, write the result."""
    data = _data()
    sentences, prompts = data.datasets["train"].rows, data.datasets["val"].rows
    lengths = [row.seconds or 0.0 for row in [*sentences, *prompts]]
    few, mixed = [*range(FEW)], [*range(FEW), *range(len(sentences), len(lengths))]
    model = _model(data)
    metrics = {
        "ratio": _ratio(model, data, lengths, mixed),
        "ratio_librispeech": _ratio(model, data, lengths, few),
        "padding_share": _padding(_by_length(lengths, [*range(len(sentences))]), lengths),
        "padding_share_random": _padding(_at_random(lengths, [*range(len(sentences))]), lengths),
        "padding_share_mixed": _padding(_by_length(lengths, mixed), lengths),
        "padding_share_mixed_random": _padding(_at_random(lengths, mixed), lengths),
    }
    write_result("speech_bucketing", metrics, seed=SEED)


def _data() -> SpeechDataModule:
    """Sentences as ``train``, prompts as ``val``."""
    text = TextProcessor(
        CharacterTokenizer(), clean=["nfkc", "lowercase", "strip_punctuation", "whitespace"], max_length=1000
    )
    sentences, prompts = SpeechManifest(SENTENCES), SpeechManifest(PROMPTS)
    data = SpeechDataModule(sentences, prompts, text=text, max_seconds=60.0, max_bad_fraction=0.2)
    data.setup()
    return data


def _model(data: SpeechDataModule) -> SpeechToText:
    torch.manual_seed(SEED)
    backbone = Backbone({"audio": ConformerAudio(144, num_layers=4)}, MMAN(), dim=144)
    model = SpeechToText(backbone, Transcription())
    model.build(data.facts())
    return model


def _by_length(lengths: list[float], rows: list[int]) -> Plan:
    batches = LengthBatches([lengths[row] for row in rows], BUDGET, shuffle=True, seed=SEED).plan(0)
    return [[rows[key] for key in batch] for batch in batches]


def _at_random(lengths: list[float], rows: list[int]) -> Plan:
    """Shuffled, then cut wherever one more utterance would exceed the budget."""
    plan: Plan = [[]]
    longest = 0.0
    for row in random.Random(SEED).sample(rows, len(rows)):
        longest = max(longest, lengths[row])
        if plan[-1] and (len(plan[-1]) + 1) * longest > BUDGET:
            plan.append([])
            longest = lengths[row]
        plan[-1].append(row)
    return plan


def _padding(plan: Plan, lengths: list[float]) -> float:
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in plan)
    return 1 - sum(lengths[row] for batch in plan for row in batch) / padded


def _ratio(model: SpeechToText, data: SpeechDataModule, lengths: list[float], rows: list[int]) -> float:
    """How many times as much speech a second; rounds alternate, so that both meet the machine's changes of speed."""
    plans = [_by_length(lengths, rows), _at_random(lengths, rows)]
    batches = [[_batch(data, batch) for batch in plan] for plan in plans]
    _seconds(model, batches[0][:2])
    spent = [[_seconds(model, kind) for kind in batches] for _ in range(ROUNDS)]
    for bucketed, at_random in spent:
        print(f"by length {bucketed:.1f} s, at random {at_random:.1f} s")
    return sum(at_random for _, at_random in spent) / sum(bucketed for bucketed, _ in spent)


def _batch(data: SpeechDataModule, rows: list[int]) -> Batch:
    train, val = data.datasets["train"], data.datasets["val"]
    return Collate()([train[row] if row < len(train) else val[row - len(train)] for row in rows])


def _seconds(model: SpeechToText, batches: list[Batch]) -> float:
    """Of one training pass."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    start = time.perf_counter()
    for batch in batches:
        loss = model.total(model.losses(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
