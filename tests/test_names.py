"""Names that torch's dictionaries cannot hold are refused where they are given."""

import pytest
from torch import nn

from mmtasks.backbone import Backbone
from mmtasks.encoders.text import BagOfWords
from mmtasks.names import is_usable
from mmtasks.tasks.base import TaskModule
from tests.small import small_backbone, small_objective

REFUSED = ["train", "type", "keys", "values", "items", "half", "a.b", "a-b", ""]


@pytest.mark.parametrize("name", REFUSED)
def test_an_encoder_or_objective_of_such_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"encoders: {name!r} cannot be a name"):
        Backbone({name: BagOfWords(8)}, dim=8)
    with pytest.raises(ValueError, match=f"objectives: {name!r} cannot be a name"):
        TaskModule(small_backbone(), {name: small_objective()})


def test_a_usable_name_can_be_held() -> None:
    names = ["image_text", "audio", "weight", "heart_rate2"]
    assert all(map(is_usable, names))
    modules = nn.ModuleDict({name: nn.Identity() for name in names})
    assert list(modules) == names
