import pickle
from collections import Counter

import pytest

from mmtasks.data.scenes.grammar import TEMPLATES, caption_with_template
from mmtasks.data.scenes.scene import twin
from mmtasks.data.scenes.source import SceneRelations, Scenes
from mmtasks.data.scenes.splits import SPLITS


def test_rows_repeat_with_the_seed() -> None:
    first, again, other = (Scenes(number=6, seed=seed) for seed in (0, 0, 1))
    assert [row.captions for row in first] == [row.captions for row in again] != [row.captions for row in other]
    assert first[0].load().tobytes() == again[0].load().tobytes()
    assert len({row.id for row in first}) == len(first) == 6
    assert first[-1].id == first[5].id and first[5].where == "scenes-train:6"
    assert [row.id for row in first[1:3]] == [first[1].id, first[2].id]


def test_rows_are_distinct_and_splits_share_no_signature() -> None:
    sources = [Scenes(split, number=200) for split in SPLITS]
    assert all(len({scene.key for scene in source.scenes}) == 200 for source in sources)
    signatures = [{scene.signature for scene in source.scenes} for source in sources]
    assert sum(map(len, signatures)) == len(set.union(*signatures))


def test_twins_follow_each_other_on_the_same_ground() -> None:
    source = Scenes("val", number=8, twins=True, size=32)
    for k in range(4):
        assert source.scenes[2 * k + 1] == twin(source.scenes[2 * k], ("attributes", "relation")[k % 2])
        one, other = (source[2 * k + j].load() for j in (0, 1))
        assert one.getpixel((0, 0)) == other.getpixel((0, 0)) and one.tobytes() != other.tobytes()


@pytest.mark.parametrize("source", [Scenes(number=2), SceneRelations(number=3)])
def test_sources_and_rows_survive_pickling(source: Scenes | SceneRelations) -> None:
    row = pickle.loads(pickle.dumps(source[1]))
    assert (row.id, row.captions) == (source[1].id, source[1].captions)
    assert row.load().tobytes() == source[1].load().tobytes()
    assert pickle.loads(pickle.dumps(source))[0].captions == source[0].captions


def test_relations_are_balanced_and_true() -> None:
    source = SceneRelations("val", number=60)
    assert Counter(row.label for row in source) == {0: 20, 1: 20, 2: 20}
    for scene, row in zip(source.scenes, source, strict=True):
        own, swapped = (
            {caption_with_template(s, t) for s in scenes for t in range(TEMPLATES)}
            for scenes in ([scene], [twin(scene, "attributes"), twin(scene, "relation")])
        )
        (caption,) = row.captions
        assert row.label == (1 if caption in own else 2 if caption in swapped else 0)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        Scenes("dev")
    with pytest.raises(ValueError, match="even with twins, got 3"):
        Scenes(number=3, twins=True)
    with pytest.raises(ValueError, match="captions must be 1 to 16, got 0"):
        Scenes(captions=0)
    with pytest.raises(ValueError, match="size must be at least 16"):
        SceneRelations(size=4)
    with pytest.raises(IndexError):
        Scenes(number=2)[2]
