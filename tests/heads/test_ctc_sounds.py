"""Search over the sounds of words, with a language model that spells them."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from mmtasks.data.phonemes import PhonemeTokenizer
from mmtasks.heads.ctc import greedy
from mmtasks.heads.ctc_search import CTCSearch
from mmtasks.heads.language_model import NGram
from mmtasks.objectives.speech import timed_words

DICTIONARY = """go G OW
to T UW
two T UW
too(2) T UW
bed B EH D
bet B EH T
"""


def made(folder: Path, read: list[str], known: str) -> PhonemeTokenizer:
    """A tokenizer that was fitted to texts, and ``lm.txt`` beside its dictionary for a language model."""
    (folder / "words.dict").write_text(DICTIONARY)
    (folder / "lm.txt").write_text(known)
    tokenizer = PhonemeTokenizer(str(folder / "words.dict"))
    tokenizer.fit(read)
    return tokenizer


def real(log_probs: torch.Tensor) -> torch.Tensor:
    """All tokens are."""
    return torch.ones(log_probs.shape[:2], dtype=torch.bool)


def test_words_that_sound_alike_are_told_apart_by_what_is_around_them(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, ["to to two"], "two go\nto bed\ntwo go to bed\n")
    search = CTCSearch(language_model=NGram(str(tmp_path / "lm.txt"), order=2), weight=1.0)
    search.build(None)
    log_probs = sounds(tokenizer, "T UW | G OW | T UW | B EH D")
    (path,) = search(log_probs, real(log_probs), 0, tokenizer)
    assert path.words == ("two", "go", "to", "bed")
    assert tokenizer.decode(path.ids) == "to go to bed"
    assert [word.text for word in timed_words(tokenizer, path, 0.04)] == ["two", "go", "to", "bed"]
    plain = CTCSearch()(log_probs, real(log_probs), 0, tokenizer)[0]
    assert (plain.ids, plain.words) == (path.ids, None)


def test_nothing_but_words_of_the_dictionary_is_heard(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, ["to bed"], "to bed\n")
    search = CTCSearch(language_model=NGram(str(tmp_path / "lm.txt"), order=2), weight=1.0)
    search.build(None)
    log_probs = sounds(tokenizer, "D UW | B EH G", share=0.5, other="T UW | B EH D")
    assert tokenizer.decode(greedy(log_probs, real(log_probs), 0)[0].ids) == "duw behg"
    assert search(log_probs, real(log_probs), 0, tokenizer)[0].words == ("to", "bed")
    copy = pickle.loads(pickle.dumps(search))
    assert copy(log_probs, real(log_probs), 0, tokenizer)[0].words == ("to", "bed")


def test_spellings_that_nothing_tells_apart_any_more_are_one_text(tmp_path: Path) -> None:
    """Else those of a few words that sound alike fill every beam, and what sounds otherwise is forgotten."""
    same = "".join(f"t{i} T UW\n" for i in range(8))
    (tmp_path / "words.dict").write_text(f"{same}bed B EH D\npet P EH T\n")
    (tmp_path / "lm.txt").write_text("\n".join(f"t{i}" for i in range(8)) + "\nbed\npet\n")
    tokenizer = PhonemeTokenizer(str(tmp_path / "words.dict"))
    tokenizer.fit(["bed"])
    search = CTCSearch(8, language_model=NGram(str(tmp_path / "lm.txt"), order=1), weight=1.0)
    search.build(None)
    log_probs = sounds(tokenizer, "T UW | T UW | T UW | P EH D", share=0.6, other="T UW | T UW | T UW | B EH D")
    words = search(log_probs, real(log_probs), 0, tokenizer)[0].words
    assert words is not None and words[-1] == "bed"


def test_a_text_that_stops_within_a_word_keeps_the_words_before_it(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, ["to to two"], "two go\nto bed\ntwo go to bed\n")
    search = CTCSearch(4, floor=-1.0, language_model=NGram(str(tmp_path / "lm.txt"), order=2), weight=1.0)
    search.build(None)
    log_probs = sounds(tokenizer, "T UW | G OW | B EH", share=0.99)
    (path,) = search(log_probs, real(log_probs), 0, tokenizer)
    assert path.words == ("two", "go")
    assert [word.text for word in timed_words(tokenizer, path, 0.04)] == ["two", "go"]


def test_searches_in_two_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, ["to to two"], "two go\nto bed\ntwo go to bed\n")
    search = CTCSearch(language_model=NGram(str(tmp_path / "lm.txt"), order=2), weight=1.0)
    search.build(None)
    log_probs = (
        2 * torch.randn(1, 12, len(tokenizer.symbols), generator=torch.Generator().manual_seed(0))
    ).log_softmax(-1)
    expected = search(log_probs, real(log_probs), 0, tokenizer)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: search(log_probs, real(log_probs), 0, tokenizer), range(40)))
    assert all(paths == expected for paths in found)


def test_the_symbol_of_unknown_words_is_never_written(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, ["to bed"], "to bed\n")
    log_probs = sounds(tokenizer, "T UW | <unk> EH D", share=0.5, other="T UW | B EH D")
    for model in (None, NGram(str(tmp_path / "lm.txt"), order=2)):
        search = CTCSearch(language_model=model)
        search.build(None)
        assert tokenizer.decode(search(log_probs, real(log_probs), 0, tokenizer)[0].ids) == "to bed"


def sounds(tokenizer: PhonemeTokenizer, said: str, *, share: float = 0.9, other: str = "") -> torch.Tensor:
    """Log probabilities (1, N, V): each symbol of ``said`` has ``share`` of a token, those of ``other`` a third."""
    symbols = tokenizer.symbols
    probs = torch.full((1, len(said.split()), len(symbols)), 1e-6)
    for position, symbol in enumerate(said.split()):
        probs[0, position, symbols.index(symbol)] += share
    for position, symbol in enumerate(other.split()):
        probs[0, position, symbols.index(symbol)] += 1 / 3
    return probs.log()
