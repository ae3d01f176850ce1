"""Training speed on the CPU: our two towers under Lightning against transformers' dual encoder under its Trainer.

The same sizes, batches, precision, optimizer and clipping. Rounds alternate, so that a change in the machine's speed
meets both; a figure is the median over rounds of a ratio within one round. ``loop_overhead`` is the share of a step
that Lightning's loop adds to a plain PyTorch loop over the same module.
"""

import statistics
import tempfile
import time
from typing import Any

import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader

from benchmarks.result import write_result
from mmtasks.backbone import Backbone
from mmtasks.encoders.text import TransformerText
from mmtasks.encoders.vit import ViTEncoder
from mmtasks.objectives.image_text import ImageText
from mmtasks.optim import AdamWCosine
from mmtasks.tasks.image_text import ImageTextMatching
from mmtasks.types import Batch, Modality

SEED = 0
ROUNDS, STEPS, WARM = 7, 24, 4
BATCH, SIDE, PATCH, LENGTH, VOCABULARY = 32, 112, 16, 24, 4000
DIM, HEADS, IMAGE_LAYERS, TEXT_LAYERS = 192, 3, 6, 4
LR = 1e-4


def main() -> None:
    """Time all three in turn, write the result."""
    torch.manual_seed(SEED)
    batches = [_batch() for _ in range(STEPS)]
    module, peer = _module(), _peer()
    times: dict[str, list[float]] = {"lightning": [], "plain": [], "transformers": []}
    for number in range(ROUNDS):
        times["lightning"].append(_lightning(module, batches))
        times["plain"].append(_plain(module, batches))
        times["transformers"].append(_transformers(peer, batches))
        print(f"round {number + 1}: " + ", ".join(f"{name} {1000 * t[-1]:.1f} ms" for name, t in times.items()))
    write_result("itm_speed", _figures(times, module, peer), seed=SEED)


def _figures(times: dict[str, list[float]], module: torch.nn.Module, peer: torch.nn.Module) -> dict[str, float]:
    def ratio(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))

    return {
        "steps_vs_transformers": ratio("transformers", "lightning"),
        "loop_overhead": ratio("lightning", "plain") - 1,
        **{f"step_ms_{name}": 1000 * statistics.median(values) for name, values in times.items()},
        "parameters": sum(p.numel() for p in module.parameters()),
        "parameters_transformers": sum(p.numel() for p in peer.parameters()),
    }


def _batch() -> dict[str, torch.Tensor]:
    return {
        "pixel_values": torch.rand(BATCH, 3, SIDE, SIDE),
        "input_ids": torch.randint(1, VOCABULARY, (BATCH, LENGTH)),
        "attention_mask": torch.ones(BATCH, LENGTH, dtype=torch.long),
    }


def _ours(batch: dict[str, torch.Tensor]) -> Batch:
    index = torch.arange(BATCH)
    image = Modality(batch["pixel_values"][:, None], torch.ones(BATCH, 1, dtype=torch.bool))
    text = Modality(batch["input_ids"], batch["attention_mask"].bool())
    return Batch({"image": image, "text": text}, {"image_index": index, "text_index": index}, [str(i) for i in index])


def _module() -> ImageTextMatching:
    encoders = {
        "image": ViTEncoder(DIM, patch_size=PATCH, num_layers=IMAGE_LAYERS, num_heads=HEADS),
        "text": TransformerText(DIM, num_layers=TEXT_LAYERS, num_heads=HEADS),
    }
    backbone = Backbone(encoders, dim=DIM)
    objective = ImageText(num_classes=0, pool="mean")
    module = ImageTextMatching(backbone, objective, optimization=AdamWCosine(LR, 0.0))
    module.build({"image": {}, "text": {"vocab_size": VOCABULARY, "pad_id": 0, "max_length": LENGTH}})
    return module


def _peer() -> torch.nn.Module:
    from transformers import BertConfig, VisionTextDualEncoderConfig, VisionTextDualEncoderModel, ViTConfig

    shared: dict[str, Any] = {"hidden_size": DIM, "num_attention_heads": HEADS, "intermediate_size": 4 * DIM}
    shared |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    vision = ViTConfig(num_hidden_layers=IMAGE_LAYERS, image_size=SIDE, patch_size=PATCH, **shared)
    text = BertConfig(num_hidden_layers=TEXT_LAYERS, vocab_size=VOCABULARY, **shared)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=DIM)
    return VisionTextDualEncoderModel(config)


def _one_by_one(batches: list[Any]) -> DataLoader:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


class _Clock(Callback):
    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(time.perf_counter())


def _step_time(ends: list[float]) -> float:
    """Seconds a step, the first ones left out."""
    return (ends[-1] - ends[WARM - 1]) / (len(ends) - WARM)


def _lightning(module: ImageTextMatching, batches: list[dict[str, torch.Tensor]]) -> float:
    clock = _Clock()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        callbacks=[clock],
    )
    trainer.fit(module, _one_by_one([_ours(b) for b in batches]))
    return _step_time(clock.ends)


def _plain(module: ImageTextMatching, batches: list[dict[str, torch.Tensor]]) -> float:
    optimizer = module.optimization.optimizer(module)
    scheduler = module.optimization.scheduler(optimizer, len(batches))
    module.train()
    ends = []
    for batch in _one_by_one([_ours(b) for b in batches]):
        optimizer.zero_grad()
        module.total(module.losses(batch)).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        ends.append(time.perf_counter())
    return _step_time(ends)


def _transformers(peer: torch.nn.Module, batches: list[dict[str, torch.Tensor]]) -> float:
    import transformers

    ends: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    class SameBatches(transformers.Trainer):
        def get_train_dataloader(self) -> DataLoader:
            return _one_by_one([{**b, "return_loss": True} for b in batches])

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=len(batches),
            use_cpu=True,
            per_device_train_batch_size=BATCH,
            learning_rate=LR,
            max_grad_norm=1.0,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        SameBatches(model=peer, args=arguments, train_dataset=batches, callbacks=[Clock()]).train()
    return _step_time(ends)


if __name__ == "__main__":
    main()
