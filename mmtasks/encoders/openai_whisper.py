"""Checkpoints of Whisper as OpenAI published them (Radford et al. 2022), as models of the transformers library."""

import pickle
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from mmtasks.errors import UserError

RENAMED = (
    (r"\.blocks\.", ".layers."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.attn\.", ".self_attn."),
    (r"\.(query|key|value|out)\.(?=weight|bias)", r".\1_proj."),
    (r"_attn\.([qkv])\w+_proj\.", r"_attn.\1_proj."),
    (r"\.ln(_post)?\.", ".layer_norm."),
    (r"\.positional_embedding$", ".embed_positions.weight"),
    (r"\.token_embedding\.", ".embed_tokens."),
)
"""OpenAI's names of weights, and those of transformers."""


def packaged_weights(module: str) -> Path | None:
    """The only ``.pt`` file inside an installed package, which is not imported; None where there is none."""
    try:
        found = find_spec(module)
    except (ModuleNotFoundError, ValueError):
        return None
    folders = [Path(folder) for folder in (found.submodule_search_locations or [])] if found else []
    files = [file for folder in folders for file in sorted(folder.rglob("*.pt"))]
    return files[0] if len(files) == 1 else None


def read_openai(path: Path) -> Any:
    """A checkpoint with OpenAI's names -> transformers' WhisperModel, in float32.

    Raises:
        UserError: the file is not such a checkpoint.
    """
    from transformers import WhisperConfig, WhisperModel

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        dims, weights = saved["dims"], saved["model_state_dict"]
    except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a checkpoint of OpenAI's Whisper ({type(error).__name__}); install it again"
        ) from None
    model = WhisperModel(WhisperConfig(**_config(dims)))
    model.load_state_dict({_rename(name): weight.float() for name, weight in weights.items()})
    return model


def _config(dims: dict[str, int]) -> dict[str, Any]:
    """Sizes by OpenAI's names -> arguments of WhisperConfig."""
    sizes: dict[str, Any] = {
        "vocab_size": dims["n_vocab"],
        "num_mel_bins": dims["n_mels"],
        "d_model": dims["n_audio_state"],
    }
    for part, kind in (("encoder", "audio"), ("decoder", "text")):
        sizes[f"{part}_layers"] = dims[f"n_{kind}_layer"]
        sizes[f"{part}_attention_heads"] = dims[f"n_{kind}_head"]
        sizes[f"{part}_ffn_dim"] = 4 * dims[f"n_{kind}_state"]
    sizes |= dict.fromkeys(["pad_token_id", "bos_token_id", "eos_token_id"])  # the tokenizer's
    return {**sizes, "max_source_positions": dims["n_audio_ctx"], "max_target_positions": dims["n_text_ctx"]}


def _rename(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
