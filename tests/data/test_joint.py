"""Several tasks' data as one: facts, processors, one vocabulary."""

from typing import Any

import pytest

from mmtasks.data.base import TaskData, Texts
from mmtasks.data.films.source import Films
from mmtasks.data.image_text import ImageTextDataModule
from mmtasks.data.joint import JointDataModule
from mmtasks.data.scenes.source import Scenes
from mmtasks.data.summary import SummaryDataModule
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.errors import UserError
from mmtasks.types import Facts

ROWS = 4


def scenes(**text: Any) -> ImageTextDataModule:
    source = Scenes("train", number=ROWS)
    return ImageTextDataModule(source, source, text=TextProcessor(WordTokenizer(), **text), batch_size=2)


def films(**text: Any) -> SummaryDataModule:
    source = Films("train", number=1, size=16)
    return SummaryDataModule(source, source, text=TextProcessor(WordTokenizer(), **text), batch_size=1)


class Words(TaskData):
    """A modality of text alone, whatever it is called."""

    def __init__(self, name: str, texts: list[str], facts: Facts | None = None) -> None:
        super().__init__()
        self.processor = TextProcessor(WordTokenizer())
        self.name, self.found, self.known = name, texts, facts

    def setup(self, stage: str | None = None) -> None:
        self.processor.fit(self.found)

    def facts(self) -> Facts:
        return self.known or {self.name: self.processor.facts()}

    def describe_processors(self) -> dict[str, Any]:
        return {self.name: {"config": None, "state": self.processor.state_dict()}}

    def texts(self) -> dict[str, Texts]:
        return {self.name: (self.processor, self.found)}


def test_tasks_that_read_texts_share_one_vocabulary_and_the_longest_length() -> None:
    data = JointDataModule({"image_text": scenes(max_length=40), "summary": films(max_length=20)})
    data.setup()
    scene, film = data.task("image_text"), data.task("summary")
    assert isinstance(scene, ImageTextDataModule) and isinstance(film, SummaryDataModule) and film.text is not None
    caption, title = scene.datasets["train"].rows[0].captions[0], film.datasets["train"].rows[0].title.lower()
    for processor in (scene.text, film.text):
        assert not processor.tokenizer.unknown(caption) and not processor.tokenizer.unknown(title)
    assert scene.text(title).tolist() == film.text(title).tolist()
    assert data.facts()["text"] == {**film.text.facts(), "max_length": 40}
    assert set(data.facts()) == {"image", "text", "video"} and set(data.describe_processors()) == {"image", "text"}


def test_texts_that_are_cleaned_differently_are_named() -> None:
    data = JointDataModule({"image_text": scenes(), "summary": films(clean=["whitespace"])})
    with pytest.raises(UserError, match=r"image_text\.text and summary\.text"):
        data.setup()


def test_modalities_of_two_names_share_a_vocabulary_if_asked() -> None:
    tasks = {"a": Words("text", ["red"]), "b": Words("transcript", ["blue"])}
    for shared in (None, [["text", "transcript"]]):
        data = JointDataModule(tasks, vocabularies=shared)
        data.setup()
        assert [task.processor.facts()["vocab_size"] for task in tasks.values()] == ([4, 4] if shared else [3, 3])


def test_a_vocabulary_of_no_text_is_named() -> None:
    data = JointDataModule({"a": Words("text", ["red"])}, vocabularies=[["text", "transcript"]])
    with pytest.raises(UserError, match="transcript is no text of a task; there are text"):
        data.setup()
    with pytest.raises(UserError, match="text is no text of a task; there are none"):
        JointDataModule({"a": TaskData()}, vocabularies=[["text"]]).setup()


def test_facts_that_disagree_are_named() -> None:
    tasks = {name: Words(name, ["red"], {"audio": {"rate": rate}}) for name, rate in (("a", 8000), ("b", 16_000))}
    data = JointDataModule(tasks)
    data.setup()
    with pytest.raises(UserError, match="a and b prepare audio differently"):
        data.facts()


@pytest.mark.parametrize("method", ["facts", "describe_processors"])
def test_texts_that_a_datamodule_does_not_tell_of_are_named(method: str) -> None:
    class Silent(Words):
        def texts(self) -> dict[str, Texts]:
            return {}

    data = JointDataModule({"a": Words("text", ["red"]), "b": Silent("text", ["blue", "green"])})
    data.setup()
    with pytest.raises(UserError, match=r"a and b prepare text differently: return it in texts\(\) of Silent"):
        getattr(data, method)()


def test_training_brings_all_tasks_and_evaluation_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    data = JointDataModule({"image_text": scenes(), "summary": films()}, steps_per_epoch=3)
    data.setup()
    steps = list(data.train_dataloader())
    assert [sorted(step) for step in steps] == [["image_text", "summary"]] * 3
    rows = {name: [row for step in loader for row in step[name].ids] for name, loader in data.val_dataloader().items()}
    assert {name: len(ids) for name, ids in rows.items()} == {"image_text": ROWS, "summary": 2}


@pytest.mark.parametrize(("tasks", "options"), [({}, {}), ({"a": TaskData()}, {"steps_per_epoch": 0})])
def test_bad_arguments_are_named(tasks: dict[str, TaskData], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tasks|steps_per_epoch"):
        JointDataModule(tasks, **options)
