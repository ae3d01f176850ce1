import pytest

from mmtasks.data.clean import clean, clean_captions


@pytest.mark.parametrize(
    ("steps", "text", "expected"),
    [
        (["nfkc"], "ﬁne Ａ e\u0301", "fine A é"),
        (["whitespace"], " a\u00a0\t b\n", "a b"),
        (["lowercase"], "ÀB", "àb"),
        (["strip_punctuation"], "«It's» black-and-white、ok?!", "Its black and white ok"),
        (["strip_punctuation"], "2 + 2 = 4 €", "2 + 2 = 4 €"),
        (["lowercase", "strip_punctuation", "dedupe"], "A.", "a"),
        ([], " A ", " A "),
    ],
)
def test_steps(steps, text, expected):
    assert clean(text, steps) == expected


def test_captions_keep_their_order_and_lose_what_is_empty():
    captions = ["A dog.", "a cat", "...", " ", "a dog"]
    assert clean_captions(captions, ["lowercase", "strip_punctuation"]) == ["a dog", "a cat", "a dog"]
    assert clean_captions(captions, ["lowercase", "strip_punctuation", "dedupe"]) == ["a dog", "a cat"]


def test_unknown_steps_are_named():
    for call in (lambda: clean("a", ["blorp"]), lambda: clean_captions(["a"], ["blorp"])):
        with pytest.raises(ValueError, match=r"'blorp'.*nfkc"):
            call()
