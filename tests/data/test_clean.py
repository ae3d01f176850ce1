import pytest

from mmtasks.data.clean import clean, clean_captions
from mmtasks.errors import UserError


def test_letters_are_small_in_the_language_of_the_row():
    for language, expected in (("tr", "dı iğne"), ("az-AZ", "dı iğne"), ("de", "di i\u0307ğne"), ("", "di i\u0307ğne")):
        assert clean("DI İĞNE", ["lowercase"], language) == expected


@pytest.mark.parametrize(
    ("steps", "text", "expected"),
    [
        (["nfkc"], "ﬁne Ａ e\u0301", "fine A é"),
        (["whitespace"], " a\u00a0\t b\n", "a b"),
        (["lowercase"], "ÀB", "àb"),
        (["strip_punctuation"], "«It's» black-and-white、ok?!", "Its black and white ok"),
        (["strip_punctuation"], "2 + 2 = 4 €", "2 + 2 = 4 €"),
        (["strip_marks"], "«It's» 'the boys’ black-and-white’s、ok?!", "It's the boys black and white's ok"),
        (["lowercase", "strip_punctuation", "dedupe"], "A.", "a"),
        ([], " A ", " A "),
    ],
)
def test_steps(steps, text, expected):
    assert clean(text, steps) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("", "20 past 3", "twenty past three"),
        ("en-GB", "1,200.5 on the 2nd", "one thousand, two hundred point five on the second"),
        ("de", "3,5 von 1.000", "drei Komma fünf von eintausend"),
        ("en", "no number", "no number"),
        ("en", "5kg of mp3", "five kg of mp three"),
        ("en", "on the 3rd, 12:30", "on the third, twelve:thirty"),
        ("de", "5kg", "fünf kg"),
        ("ko", "3은", "삼은"),
        (
            "en",
            "call 1234567890123456 now",
            "call one two three four five six seven eight nine zero one two three four five six now",
        ),
        ("am", "1000000000000000", "አንድ" + " ዜሮ" * 15),
    ],
)
def test_numbers_are_spelled_in_the_language_of_the_row(language, text, expected):
    pytest.importorskip("num2words")
    assert clean(text, ["numbers"], language) == expected


def test_a_language_without_numbers_is_named():
    pytest.importorskip("num2words")
    with pytest.raises(UserError, match="'xx'"):
        clean("3", ["numbers"], "xx")


@pytest.mark.parametrize(
    ("language", "number", "message"),
    [
        ("id", "3", "num2words fails on every number in the language 'id'"),
        ("fa", "3", "num2words fails on every number in the language 'fa'"),
        ("ce", "0.5 1,5", "num2words has no words for 1.5 in the language 'ce' .KeyError"),
        ("en-IN", "123456789012345", "num2words has no words for 123456789012345 in the language 'en_IN' .Overflow"),
    ],
)
def test_a_number_on_which_the_package_fails_is_named(language, number, message):
    pytest.importorskip("num2words")
    with pytest.raises(UserError, match=message):
        clean(number, ["numbers"], language)


def test_captions_keep_their_order_and_lose_what_is_empty():
    captions = ["A dog.", "a cat", "...", " ", "a dog"]
    assert clean_captions(captions, ["lowercase", "strip_punctuation"]) == ["a dog", "a cat", "a dog"]
    assert clean_captions(captions, ["lowercase", "strip_punctuation", "dedupe"]) == ["a dog", "a cat"]


def test_unknown_steps_are_named():
    for call in (lambda: clean("a", ["blorp"]), lambda: clean_captions(["a"], ["blorp"])):
        with pytest.raises(ValueError, match=r"'blorp'.*nfkc"):
            call()
