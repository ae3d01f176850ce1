import pickle
import subprocess
import sys

import pytest
import tokenizers
import torch
from tokenizers import models, pre_tokenizers, processors

from mmtasks.config import describe, instantiate
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import BPETokenizer, PretrainedTokenizer, WordTokenizer
from mmtasks.errors import UserError

TEXTS = ["a red dog runs", "a red cat", "a café"]
VOCABULARY = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "a", "red", "dog", "cat", "runs"]


@pytest.fixture
def folder(tmp_path):
    tokenizer = tokenizers.Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[CLS]", "[PAD]", "[SEP]"])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 0))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(pad_id=1, pad_token="[PAD]", length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.fixture(params=["word", "bpe", "pretrained"])
def tokenizer(request, folder):
    if request.param == "word":
        return WordTokenizer()
    return BPETokenizer(vocab_size=280) if request.param == "bpe" else PretrainedTokenizer(str(folder))


def test_ids_tokens_and_text_belong_together(tokenizer):
    tokenizer.fit(TEXTS)
    ids = tokenizer.encode("a red dog runs")
    assert len(tokenizer.tokens("a red dog runs")) == len(ids)
    assert max(ids) < tokenizer.vocab_size
    assert tokenizer.decode([*ids, tokenizer.pad_id]) == "a red dog runs"


def test_padding_in_a_text_is_text(tokenizer):
    tokenizer.fit(TEXTS)
    assert tokenizer.pad_id not in tokenizer.encode("a <pad> [PAD] dog")


def test_use_before_fit_says_what_to_do(tokenizer):
    for use in (tokenizer.encode, tokenizer.tokens, lambda _: tokenizer.pad_id, lambda _: tokenizer.state_dict()):
        with pytest.raises(RuntimeError, match="call fit"):
            use("a")


def test_state_makes_the_same_tokenizer_without_files(tokenizer, folder):
    process = TextProcessor(tokenizer, max_length=5)
    process.fit(iter(TEXTS))
    (folder / "tokenizer.json").unlink()
    again = instantiate(describe(process))
    again.load_state_dict(process.state_dict())
    for copy in (again, pickle.loads(pickle.dumps(process))):
        assert copy.facts() == process.facts()
        assert torch.equal(copy("a red <pad> dog café"), process("a red <pad> dog café"))
    assert all(isinstance(value, (str, int)) for value in process.state_dict().values())


def test_text_that_is_not_utf8(tokenizer):
    tokenizer.fit(TEXTS)
    with pytest.raises(UserError, match="UTF-8"):
        tokenizer.encode("a \ud800")


def test_words_are_ordered_by_frequency_and_limited():
    tokenizer = WordTokenizer(min_count=2, max_size=3)
    tokenizer.fit(TEXTS)
    assert tokenizer.tokens("a red dog") == ["a", "<unk>", "<unk>"]
    assert tokenizer.vocab_size == 3
    with pytest.raises(UserError, match="min_count"):
        WordTokenizer(min_count=9).fit(TEXTS)


def test_bytes_know_every_text():
    tokenizer = BPETokenizer(vocab_size=260)
    tokenizer.fit(TEXTS)
    assert tokenizer.decode(tokenizer.encode("日本 🐕 <x>")) == "日本 🐕 <x>"
    assert tokenizer.tokens("red")[0].startswith("r")


def test_pretrained_keeps_its_special_tokens_when_cut(folder):
    process = TextProcessor(PretrainedTokenizer(str(folder)), max_length=4)
    process.fit(TEXTS)
    assert process("a red dog runs").tolist() == [0, 4, 5, 2]
    assert process.tokens("a red dog runs") == ["[CLS]", "a", "red", "[SEP]"]
    assert process.facts() == {"vocab_size": 9, "pad_id": 1, "max_length": 4}
    assert TextProcessor(process.tokenizer, max_length=32)("a").tolist() == [0, 4, 2]


def test_pretrained_from_a_package(folder, monkeypatch):
    (folder / "tiny_model.py").write_text(f"def get_model_path():\n    return {str(folder)!r}\n")
    monkeypatch.syspath_prepend(folder)
    tokenizer = PretrainedTokenizer("package:tiny_model")
    tokenizer.fit([])
    assert tokenizer.vocab_size == 9
    with pytest.raises(UserError, match="no_such_package"):
        PretrainedTokenizer("package:no_such_package").fit([])


def test_pretrained_padding_from_its_config(folder):
    saved = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    saved.no_padding()
    saved.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"pad_token": {"content": "[SEP]"}}')
    tokenizer = PretrainedTokenizer(str(folder))
    tokenizer.fit([])
    assert tokenizer.pad_id == 2
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer.json cannot be read"):
        tokenizer.fit([])


def test_text_processor_cuts_and_refuses_empty_texts():
    process = TextProcessor(WordTokenizer(), max_length=2)
    assert process.clean == ["nfkc", "whitespace", "lowercase", "dedupe"]
    process.fit(TEXTS)
    assert process("a red dog").shape == (2,)
    assert process("a red dog").dtype == torch.long
    with pytest.raises(UserError, match="no words"):
        process(" ")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WordTokenizer(min_count=0), "min_count 0"),
        (lambda: WordTokenizer(max_size=2), "max_size 2"),
        (lambda: BPETokenizer(vocab_size=256), "vocab_size 256"),
        (lambda: PretrainedTokenizer(""), "name ''"),
        (lambda: TextProcessor(WordTokenizer(), max_length=0), "max_length 0"),
        (lambda: TextProcessor(WordTokenizer(), clean=["blorp"]), "blorp"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_importing_tokenizers_stays_light():
    code = "import mmtasks.data.tokenizer, sys; assert not {'torch', 'transformers', 'lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
