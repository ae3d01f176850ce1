"""The datamodule of several tasks that train together."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import nn

from mmtasks.config import describe
from mmtasks.data.base import TaskData, Texts
from mmtasks.data.joint_loader import JointLoader, Named
from mmtasks.data.sampling import EveryTask, Sampling
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.types import Facts


class JointDataModule(TaskData):
    """The datamodules of several tasks, each as it would stand alone, under the names of the model's objectives.

    Tasks that read a modality of the same name share its encoder. For texts that means one vocabulary, of the training
    texts of all of them, so they must clean and cut them alike.

    Args:
        tasks: datamodules by the name of the objective.
        sampling: which tasks a step learns from; all of them by default.
        steps_per_epoch: None for what ``sampling`` says.
        vocabularies: modalities of text that share one vocabulary across their names, as ``[[text, transcript]]``.
        seed: of the draw of tasks.
    """

    def __init__(
        self,
        tasks: dict[str, TaskData],
        *,
        sampling: Sampling | None = None,
        steps_per_epoch: int | None = None,
        vocabularies: list[list[str]] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not tasks:
            raise ValueError("tasks is empty; give a datamodule for each objective")
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch {steps_per_epoch} must be at least 1, or null")
        self.tasks = tasks
        self.sampling = sampling or EveryTask()
        self.steps_per_epoch = steps_per_epoch
        self.vocabularies = vocabularies
        self.seed = seed
        caches = [data.feature_cache for data in tasks.values() if data.feature_cache is not None]
        self.feature_cache = caches[0] if caches else None
        self._told = self._ready = False
        self._loader: JointLoader | None = None
        self._resumed: dict[str, Any] = {}

    def task(self, name: str) -> TaskData:
        """The datamodule of one task."""
        return self.tasks[name]

    def prepare_data(self) -> None:
        """Of each task."""
        for data in self.tasks.values():
            data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Of each task; then one vocabulary for the texts that they share.

        Raises:
            UserError: they prepare them differently, or ``vocabularies`` names what is no text.
        """
        for data in self.tasks.values():
            data.trainer = self.trainer
            data.setup(stage or "fit")
        if not self._ready:
            self._share_vocabularies()
            self._ready = True

    def teardown(self, stage: str) -> None:
        """Of each task."""
        for data in self.tasks.values():
            data.teardown(stage)

    def facts(self) -> Facts:
        """Of all modalities.

        Raises:
            UserError: two tasks disagree about a modality.
        """
        return self._merged({name: data.facts() for name, data in self.tasks.items()})

    def describe_processors(self) -> dict[str, Any]:
        """Of all modalities.

        Raises:
            UserError: two tasks prepare one differently.
        """
        return self._merged({name: data.describe_processors() for name, data in self.tasks.items()})

    def texts(self) -> dict[str, Texts]:
        """Of all tasks; of a modality that several read, all texts."""
        found: dict[str, Texts] = {}
        for data in self.tasks.values():
            for name, (processor, texts) in data.texts().items():
                found[name] = (processor, [*found[name][1], *texts]) if name in found else (processor, texts)
        return found

    def use_facts(self, facts: Facts, encoders: Mapping[str, Encoder]) -> None:
        """Tell each task what the model knows."""
        for data in self.tasks.values():
            data.use_facts(facts, encoders)

    def cache_features(self, name: str, encoder: nn.Module, device: torch.device) -> None:
        """For each task that reads the modality and has a ``feature_cache``."""
        for data in self.tasks.values():
            if data.feature_cache is not None and name in data.facts():
                data.cache_features(name, encoder, device)

    def train_dataloader(self) -> JointLoader:  # type: ignore[override]
        """Steps of one task or of all."""
        loaders = {name: data.train_dataloader() for name, data in self.tasks.items()}
        joint = JointLoader(loaders, self.sampling, steps=self.steps_per_epoch, seed=self.seed)
        if self._resumed.get("epoch") == self.epochs_done() - 1:
            joint.load_state_dict(self._resumed)
        self._loader = joint
        if not self._told:
            batches = ", ".join(f"{name} {size}" for name, size in joint.sizes.items())
            rank_zero_info(f"an epoch is {joint.steps} steps; batches in a pass over each task: {batches}")
            self._told = True
        return joint

    def state_dict(self) -> dict[str, Any]:
        """Where each task's data is: it goes on beyond an epoch's end, where Lightning forgets loaders."""
        return {} if self._loader is None else self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remembered for the loader of the next epoch."""
        self._resumed = state_dict

    def val_dataloader(self) -> dict[str, Named]:  # type: ignore[override]
        """One task after the other."""
        return {name: Named(name, data.val_dataloader()) for name, data in self.tasks.items()}

    def test_dataloader(self) -> dict[str, Named]:  # type: ignore[override]
        """One task after the other."""
        return {name: Named(name, data.test_dataloader()) for name, data in self.tasks.items()}

    def _merged(self, by_task: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """What each task says of its modalities, as one."""
        merged: dict[str, Any] = {}
        said_by: dict[str, str] = {}
        for task, said in by_task.items():
            for name, value in said.items():
                if name in merged and merged[name] != value:
                    first, remedy = said_by[name], self._remedy(name, [said_by[name], task])
                    raise UserError(f"{first} and {task} prepare {name} differently: {remedy}")
                merged[name] = value
                said_by.setdefault(name, task)
        return merged

    def _remedy(self, modality: str, tasks: list[str]) -> str:
        """What makes the tasks prepare a modality alike: a vocabulary is shared where ``texts`` tells of it."""
        for task in tasks:
            data = self.tasks[task]
            if "vocab_size" in data.facts().get(modality, {}) and modality not in data.texts():
                return f"return it in texts() of {type(data).__name__}, so that they share one vocabulary"
        return "make their blocks alike"

    def _share_vocabularies(self) -> None:
        together = {name: group[0] for group in self.vocabularies or [] for name in group}
        found = {task: data.texts() for task, data in self.tasks.items()}
        known = {name for texts in found.values() for name in texts}
        if unknown := sorted(together.keys() - known):
            there = ", ".join(sorted(known)) or "none"
            raise UserError(f"data.vocabularies: {unknown[0]} is no text of a task; there are {there}")
        groups: dict[str, list[tuple[str, Texts]]] = {}
        for task, of_task in found.items():
            for name, texts in of_task.items():
                groups.setdefault(together.get(name, name), []).append((f"{task}.{name}", texts))
        for group in groups.values():
            _share(dict(group))


def _share(texts: Mapping[str, Texts]) -> None:
    """One vocabulary, and the longest ``max_length``, for processors of texts that are otherwise alike.

    Raises:
        UserError: they are not.
    """
    processors = {where: processor for where, (processor, _) in texts.items()}
    longest = max(processor.max_length for processor in processors.values())
    for processor in processors.values():
        processor.max_length = longest
    (first, leader), *others = processors.items()
    for where, other in others:
        if describe(other) != describe(leader):
            raise UserError(
                f"{first} and {where} share a vocabulary but clean or cut texts differently: make them alike"
            )
    if others:
        leader.fit(text for _, found in texts.values() for text in found)
        for _, other in others:
            other.load_state_dict(leader.state_dict())
