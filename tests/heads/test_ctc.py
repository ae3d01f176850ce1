"""Alignment and search over CTC's paths."""

import itertools
import math
import pickle
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mmtasks.config import describe, instantiate
from mmtasks.data.tokenizer import BPETokenizer, CharacterTokenizer, Tokenizer, WordTokenizer
from mmtasks.errors import UserError
from mmtasks.heads import ctc_search
from mmtasks.heads.ctc import CTCHead, align, append, greedy
from mmtasks.heads.ctc import Path as Found
from mmtasks.heads.ctc_search import CTCSearch, _Language
from mmtasks.heads.language_model import END, NGram
from mmtasks.heads.ngram_file import NGramFile


def characters(text: str) -> CharacterTokenizer:
    tokenizer = CharacterTokenizer()
    tokenizer.fit([text])
    return tokenizer


def real(log_probs: torch.Tensor) -> torch.Tensor:
    return torch.ones(log_probs.shape[:2], dtype=torch.bool)


def by_brute_force(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The probability of each text, from all paths; symbol 0 is the blank."""
    totals: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        totals[text] += math.exp(sum(float(log_probs[i, s]) for i, s in enumerate(path)))
    return totals


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_finds_the_best_text_of_all(seed: int) -> None:
    log_probs = (2 * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)
    mask = real(log_probs)
    mask[1, 3:] = False
    paths = CTCSearch(1000)(log_probs, mask, 0, characters("ab"))
    for path, row, length in zip(paths, log_probs, (5, 3), strict=True):
        texts = by_brute_force(row[:length])
        best = max(texts, key=texts.__getitem__)
        assert tuple(path.ids) == best
        assert path.score == pytest.approx(math.log(texts[best]) / length, abs=1e-5)
        assert len(path.starts) == len(path.ids) and all(end <= length for end in path.ends)


def test_search_adds_up_paths_where_greedy_takes_one() -> None:
    """Blank is best at both tokens, 0.36; but three paths spell "a": 0.4 · 0.4 + 2 · 0.6 · 0.4 = 0.64."""
    log_probs = torch.tensor([[[0.6, 1e-9, 0.4], [0.6, 1e-9, 0.4]]]).log()
    assert greedy(log_probs, real(log_probs), 0)[0].ids == []
    assert CTCSearch(4)(log_probs, real(log_probs), 0, characters("a"))[0].ids == [2]


def test_a_recording_without_tokens_has_an_empty_path() -> None:
    path = CTCSearch()(torch.randn(1, 3, 4).log_softmax(-1), torch.zeros(1, 3, dtype=torch.bool), 0, characters("ab"))
    assert path[0].ids == []


def spelled(tokenizer: Tokenizer, *choices: dict[str, float]) -> torch.Tensor:
    """Log probabilities (1, N, V) of these characters at each token."""
    probs = torch.full((1, len(choices), tokenizer.vocab_size), 1e-6)
    for position, choice in enumerate(choices):
        for text, value in choice.items():
            probs[0, position, tokenizer.encode(text)[0]] = value
    return probs.log()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "lm.txt").write_text("Go to bed.\nGo to sleep!\ngo to bed\n")
    return tmp_path / "lm.txt"


@pytest.mark.parametrize("unit", ["word", "character"])
def test_a_language_model_changes_the_winner(text: Path, unit: str) -> None:
    tokenizer = characters("go ta")
    letters = ["g", "o", " ", "t"]
    log_probs = spelled(tokenizer, *({c: 0.99} for c in letters), {"a": 0.55, "o": 0.45})
    model = NGram(str(text), unit=unit, clean=["lowercase", "strip_punctuation"])
    found = []
    for search in (CTCSearch(), CTCSearch(language_model=model, weight=1.0)):
        search.build(None)
        path = search(log_probs, real(log_probs), 0, tokenizer)[0]
        found.append(tokenizer.decode(path.ids))
        assert path.starts == [0, 1, 2, 3, 4]
    assert found == ["go ta", "go to"]


def test_threads_that_search_together_look_up_the_same(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[_Language] = []

    def slowly(search: CTCSearch, tokenizer: Tokenizer) -> _Language:
        time.sleep(0.05)
        made.append(_Language(search, tokenizer))
        return made[-1]

    monkeypatch.setattr(ctc_search, "_Language", slowly)
    search, tokenizer = CTCSearch(language_model=NGram(str(text))), characters("abc")
    search.build(None)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(search._language_of, [tokenizer, tokenizer])
    assert one is other
    assert made == [one]


def test_a_word_costs_as_it_is_written_not_when_it_ends(text: Path) -> None:
    """Else few beams are full of texts that leave out each space, and with it the cost of the word before it."""
    tokenizer = characters("go tbed")
    letters = [{" ": 0.6, "o": 0.4} if letter == " " else {letter: 0.99} for letter in "go to bed"]
    model = NGram(str(text), order=1, clean=["lowercase", "strip_punctuation"], spelling=2)
    search = CTCSearch(2, language_model=model, weight=3.0)
    search.build(None)
    log_probs = spelled(tokenizer, *letters)
    assert tokenizer.decode(search(log_probs, real(log_probs), 0, tokenizer)[0].ids) == "go to bed"


def test_what_is_below_the_floor_is_not_tried_unless_it_is_the_likeliest(text: Path) -> None:
    tokenizer = characters("go ta")
    log_probs = spelled(tokenizer, *({c: 0.99} for c in "go t"), {"a": 0.55, "o": 0.45})
    model = NGram(str(text), clean=["lowercase", "strip_punctuation"])
    found = []
    for floor in (-1.0, -0.7, -0.1):
        search = CTCSearch(floor=floor, language_model=model, weight=1.0)
        search.build(None)
        found.append(tokenizer.decode(search(log_probs, real(log_probs), 0, tokenizer)[0].ids))
    assert found == ["go to", "go ta", "go ta"]


def test_words_of_byte_pairs_are_scored_whole(text: Path) -> None:
    tokenizer = BPETokenizer(vocab_size=270)
    tokenizer.fit(["go to", "go ta"])
    right, wrong = tokenizer.encode("go to"), tokenizer.encode("go ta")
    probs = torch.full((1, len(right), tokenizer.vocab_size), 1e-6)
    for i, (a, b) in enumerate(zip(right, wrong, strict=True)):
        probs[0, i, a] += 0.45
        probs[0, i, b] += 0.55
    search = CTCSearch(language_model=NGram(str(text), clean=["lowercase", "strip_punctuation"]), weight=1.0)
    search.build(None)
    assert tokenizer.decode(search(probs.log(), real(probs), 0, tokenizer)[0].ids) == "go to"


@pytest.mark.parametrize("unit", ["word", "character"])
def test_words_of_a_vocabulary_of_words_are_scored_one_by_one(text: Path, unit: str) -> None:
    """Those of a sentence are parted by spaces that no symbol holds."""
    tokenizer = WordTokenizer()
    tokenizer.fit(["go to bed", "ta", "a"])
    model = NGram(str(text), unit=unit, clean=["lowercase", "strip_punctuation"])
    log_probs = spelled(tokenizer, {"go": 0.99}, {"to": 0.45, "ta": 0.55}, {"bed": 0.99})
    search = CTCSearch(language_model=model, weight=1.0)
    search.build(None)
    assert tokenizer.decode(search(log_probs, real(log_probs), 0, tokenizer)[0].ids) == "go to bed"
    said = _Language(search, tokenizer).start
    for symbol in tokenizer.encode("go a"):
        (said,) = _Language(search, tokenizer).extend(said, symbol)
    assert said.context == {"word": ("<s>", "go"), "character": (" ", "a")}[unit]


def test_a_language_model_travels_without_its_file(text: Path) -> None:
    model = NGram(str(text), order=3, clean=["lowercase", "strip_punctuation"])
    model.fit()
    copy = instantiate(describe(model))
    text.unlink()
    copy.load_state_dict(model.state_dict())
    for unit, context in [("to", ("<s>", "go")), ("bed", ("go", "to")), ("zebra", ("go", "to")), (END, ("to", "bed"))]:
        assert copy.score(unit, context) == model.score(unit, context)
    assert model.score("to", ("<s>", "go")) > model.score("bed", ("<s>", "go")) > model.score("zebra", ("<s>", "go"))


def test_a_language_model_reads_several_files_of_several_kinds(text: Path, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"id": 1, "text": "stay up"}')
    model = NGram([str(text), str(tmp_path / "m.jsonl")], clean=["lowercase"])
    model.fit()
    assert model.score("up", ("<s>", "stay")) > model.score("up", ("<s>", "go"))


def test_words_of_a_vocabulary_are_known_but_rare(text: Path, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text('{"Zebra": 9, "yak": 1}')
    options = {"vocabulary": str(tmp_path / "words.json"), "vocabulary_size": 1}
    model = NGram(str(text), order=2, clean=["lowercase", "strip_punctuation"], spelling=3, **options)
    model.fit()
    context = ("go",)
    assert model.score("to", context) > model.score("zebra", context) > model.score("yak", context) + 1
    copy = instantiate(describe(model))
    copy.load_state_dict(model.state_dict())
    assert copy.score("yak", context) == model.score("yak", context)


ARPA = """\\data\\
ngram 1=6
ngram 2=4
ngram 3=1

\\1-grams:
-99\t<s>\t-0.3
-0.5\tgo\t-0.2
-0.6\tto\t-0.1
-0.7\tyak\t0.0
-0.8\tup\t-0.4
-0.9\t</s>\t0.0

\\2-grams:
-0.1\t<s> go\t-0.25
-0.2\tgo to
-0.4\tgo up\t-0.15
-1.2\tgo yak

\\3-grams:
-0.05\t<s> go yak

\\end\\
"""


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    pytest.importorskip("pocketsphinx")
    (tmp_path / "general.arpa").write_text(ARPA)
    return tmp_path / "general.arpa"


@pytest.mark.parametrize(
    ("word", "context", "decimal"),
    [
        ("go", ("<s>",), -0.1),
        ("go", ("<s>", "<s>"), -0.1),
        ("yak", ("<s>", "go"), -0.05),
        ("yak", ("go",), -1.2),
        ("up", ("<s>", "go"), -0.25 - 0.4),
        ("yak", ("go", "up"), -0.15 - 0.4 - 0.7),
        ("to", ("<s>", "up"), -0.4 - 0.6),
        (END, ("go", "to"), -0.1 - 0.9),
        ("to", (), -0.6),
    ],
)
def test_a_file_of_another_toolkit_is_asked_with_its_back_off(
    arpa: Path, word: str, context: tuple[str, ...], decimal: float
) -> None:
    model = NGramFile(str(arpa))
    model.fit()
    assert model.order == 3
    assert model.score(word, context) == pytest.approx(decimal * math.log(10), abs=3e-4)
    assert model.score("zebra", context) == -100.0


def test_a_background_model_is_mixed_in_and_looks_further_back(text: Path, arpa: Path) -> None:
    alone, mixed = (
        NGram(str(text), order=2, clean=["lowercase", "strip_punctuation"], spelling=2, **options)
        for options in ({}, {"background": NGramFile(str(arpa)), "background_share": 0.75})
    )
    for model in (alone, mixed):
        model.fit()
    context = mixed.after(mixed.start, "go")
    assert (mixed.start, context) == (("<s>", "<s>"), ("<s>", "go"))
    for unit, general in {"yak": 10**-0.05, "to": 10 ** (-0.25 - 0.2), "zebra": 0.0}.items():
        expected = 0.25 * math.exp(alone.score(unit, ("go",))) + 0.75 * general
        assert math.exp(mixed.score(unit, context)) == pytest.approx(expected, rel=1e-3)
    arpa.unlink()
    text.unlink()
    copy = pickle.loads(pickle.dumps(instantiate(describe(mixed))))
    copy.load_state_dict(mixed.state_dict())
    again = pickle.loads(pickle.dumps(copy))
    for unit in ("yak", "to", "zebra", END):
        assert copy.score(unit, context) == mixed.score(unit, context) == again.score(unit, context)


def test_a_file_that_is_no_language_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    (tmp_path / "no.arpa").write_text("no model")
    with pytest.raises(UserError, match="no.arpa: no n-gram model; give an ARPA file"):
        NGramFile(str(tmp_path / "no.arpa")).fit()
    with pytest.raises(UserError, match="none.arpa: cannot be read"):
        NGramFile(str(tmp_path / "none.arpa")).fit()


def test_an_unseen_word_must_be_spelled_like_a_word(text: Path) -> None:
    steps = ["lowercase", "strip_punctuation"]
    plain, spelled = (NGram(str(text), order=2, clean=steps, spelling=order) for order in (0, 3))
    for model in (plain, spelled):
        model.fit()
    assert plain.score("sleed", ("to",)) == plain.score("xqjwk", ("to",))
    assert plain.score("sleed", ("to",)) > spelled.score("sleed", ("to",)) > spelled.score("xqjwk", ("to",)) + 1
    for known in ("sleep", END):
        assert plain.score(known, ("to",)) == spelled.score(known, ("to",))
    words = [[*word, END] for size in range(4) for word in itertools.product("ab", repeat=size)]
    assert sum(math.exp(spelled._spell(word)) for word in words) < 1


def test_beginnings_of_words_are_as_likely_as_the_words_that_begin_so(text: Path) -> None:
    model = NGram(str(text), order=2, clean=["lowercase", "strip_punctuation"], spelling=2)
    model.fit()
    words = {"go": 3, "to": 3, "bed": 2, "sleep": 1}
    assert model.beginning("") == 0.0
    for letters, count in {"g": 3, "go": 3, "b": 2, "sle": 1}.items():
        assert model.beginning(letters) == pytest.approx(math.log(count / sum([*words.values(), 1])))
    assert model.beginning("sle") > model.beginning("slo") > model.beginning("slog")
    plain = NGram(str(text), order=2, clean=["lowercase", "strip_punctuation"])
    plain.fit()
    assert plain.beginning("slo") == plain.beginning("slog") == pytest.approx(math.log(1 / 10))


def test_what_a_language_model_refuses(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(UserError, match="empty.txt: holds no text"):
        NGram(str(tmp_path / "empty.txt")).fit()
    with pytest.raises(UserError, match="no such file"):
        NGram(str(tmp_path / "none.txt")).fit()
    for name, value in {"spelling": 3, "vocabulary": "words.txt", "background": NGramFile("lm.arpa")}.items():
        options = {"unit": "character", name: value}
        with pytest.raises(ValueError, match="are of a model of words; unit is 'character'"):
            NGram("lm.txt", **options)
    with pytest.raises(ValueError, match="spelling -1"):
        NGram("lm.txt", spelling=-1)
    with pytest.raises(ValueError, match="background_share 1"):
        NGram("lm.txt", background_share=1)
    with pytest.raises(ValueError, match="unit 'line'"):
        NGram("x", unit="line")
    with pytest.raises(ValueError, match="beam 0"):
        CTCSearch(0)
    with pytest.raises(ValueError, match="floor 0.5"):
        CTCSearch(floor=0.5)


def test_alignment_puts_each_symbol_where_it_is_likely() -> None:
    path = [1, 1, 0, 1, 2, 2]
    log_probs = (5 * torch.nn.functional.one_hot(torch.tensor(path), 3).float()).log_softmax(-1)
    found = align(log_probs, [1, 1, 2], 0)
    assert found is not None and (found.ids, found.starts, found.ends) == ([1, 1, 2], [0, 3, 4], [2, 4, 6])
    assert found.score == pytest.approx(float(log_probs.amax(dim=1).mean()))
    other = align(log_probs, [2], 0)
    assert other is not None and other.ids == [2] and other.ends == [6]


def test_alignment_needs_a_blank_between_equal_symbols() -> None:
    log_probs = torch.randn(4, 4).log_softmax(-1)
    assert align(log_probs[:3], [1, 1, 2], 0) is None
    found = align(log_probs, [1, 1, 2], 0)
    assert found is not None and found.ids == [1, 1, 2] and found.starts == [0, 2, 3]
    assert align(log_probs, [], 0) is None


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_symbols_appended_chunk_by_chunk_are_those_at_once(size: int) -> None:
    symbols = [0, 3, 3, 0, 3, 2, 2, 2, 1, 0, 0, 1]
    whole = greedy(torch.nn.functional.one_hot(torch.tensor([symbols]), 4).float(), torch.ones(1, 12).bool(), 0)[0]
    path, last = Found([], [], [], whole.score), 0
    for start in range(0, len(symbols), size):
        last = append(path, symbols[start : start + size], start, last, 0)
    assert path == whole


def test_greedy_joins_repeats_unless_a_blank_parts_them() -> None:
    best = torch.nn.functional.one_hot(torch.tensor([[0, 2, 2, 0, 2, 1, 1], [1, 1, 1, 1, 2, 2, 2]]), 3).float()
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    assert [path.ids for path in greedy(best, mask, 0)] == [[2, 2, 1], [1]]


def test_head_gives_log_probabilities() -> None:
    torch.testing.assert_close(CTCHead(8, 5)(torch.randn(2, 3, 8)).exp().sum(dim=-1), torch.ones(2, 3))
