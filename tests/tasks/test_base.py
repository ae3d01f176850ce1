"""What a task and its datamodule tell each other."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from mmtasks.checkpoint import read_checkpoint
from mmtasks.config import describe
from mmtasks.data.base import TaskData
from mmtasks.data.joint import JointDataModule
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.tasks.base import TaskModule
from mmtasks.types import Facts
from tests.small import FACTS, small_backbone, small_objective


class Plain(TaskData):
    """Needs to know nothing of the model."""

    def facts(self) -> Facts:
        return FACTS

    def describe_processors(self) -> dict[str, Any]:
        return {"image": {"config": None, "state": {}}}


class Curious(Plain):
    """Keeps what it is told."""

    def use_facts(self, facts: Facts, encoders: Mapping[str, Encoder]) -> None:
        self.told, self.encoders = facts, encoders


def built(data: TaskData) -> TaskModule:
    task = TaskModule(small_backbone(), {"matching": small_objective()})
    task._trainer = SimpleNamespace(datamodule=data, strategy=SingleDeviceStrategy())
    task.configure_model()
    return task


def test_the_weights_are_built_from_what_the_data_knows() -> None:
    task = built(Plain())
    assert task.facts["text"]["vocab_size"] == FACTS["text"]["vocab_size"]
    assert task.processors == Plain().describe_processors()


def test_the_data_is_told_what_the_model_knows_once() -> None:
    data = Curious()
    task = built(data)
    assert data.told is task.facts and data.encoders is task.backbone.encoders
    del data.told
    task.configure_model()
    assert not hasattr(data, "told")


def test_a_checkpoint_of_another_model_is_refused() -> None:
    task = built(Plain())
    saved: dict[str, Any] = {"state_dict": dict(task.state_dict())}
    task.on_load_checkpoint(saved)
    name, weight = saved["state_dict"].popitem()
    with pytest.raises(UserError, match=f"{re.escape(name)} is missing in it and .* here; give the config"):
        task.on_load_checkpoint(saved)
    with pytest.raises(UserError, match=re.escape(f"{name} is {(2, *weight.shape)} in it and {tuple(weight.shape)}")):
        task.on_load_checkpoint({"state_dict": {**saved["state_dict"], name: torch.stack([weight, weight])}})


class Worded(Plain):
    """Has a vocabulary of a modality."""

    def __init__(self, name: str, *texts: str) -> None:
        super().__init__()
        self.name = name
        self.processor = TextProcessor(WordTokenizer())
        self.processor.fit(texts)

    def describe_processors(self) -> dict[str, Any]:
        return {self.name: {"config": describe(self.processor), "state": self.processor.state_dict()}}


def joint(name: str, *texts: str) -> JointDataModule:
    """Two tasks of which the second has that vocabulary."""
    return JointDataModule({"one": Worded("title", "a"), "other": Worded(name, *texts)})


@pytest.mark.parametrize("name", ["text", "transcript"])
@pytest.mark.parametrize("data", [Worded, joint])
def test_a_checkpoint_of_another_vocabulary_of_the_same_size_is_refused(data: Any, name: str, tmp_path: Path) -> None:
    task = built(data(name, "a red dog", "a cat"))
    saved: dict[str, Any] = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(saved)
    torch.save(saved, tmp_path / "saved.ckpt")
    saved = read_checkpoint(tmp_path / "saved.ckpt")
    built(data(name, "a red dog", "a cat")).on_load_checkpoint(saved)
    with pytest.raises(UserError, match=f"{name}: the vocabulary .* is not the one that the checkpoint"):
        built(data(name, "a red cat", "dog cat")).on_load_checkpoint(saved)


@pytest.mark.parametrize("method", ["facts", "describe_processors"])
def test_a_datamodule_that_lacks_something_is_named(method: str) -> None:
    with pytest.raises(NotImplementedError, match=f"TaskData.{method}"):
        getattr(TaskData(), method)()
