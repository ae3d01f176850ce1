"""Pretrained decoders of speech."""

from typing import Any, Self

import tokenizers
import torch
import torch.nn.functional as F
from torch import Tensor

from mmtasks.encoders.transformers_model import check_tuning, make_model, plain_config, tune
from mmtasks.errors import UserError
from mmtasks.heads.decoder import Decoder
from mmtasks.types import Facts, Tokens

START, END = "<|startoftranscript|>", "<|endoftext|>"


class WhisperDecoder(Decoder):
    """The decoder of a pretrained Whisper (Radford et al. 2022), without times, in the model's own vocabulary.

    The backbone must give tokens of the model's width; with ``as_is`` for the audio and no fusion they are those of
    its own encoder, and the two are the whole model.

    Args:
        name: as of ``PretrainedAudio``.
        tuning: ``"frozen"``, ``"full"``, ``"lora"`` (Hu et al. 2022) or how many last layers to train.
        lora_rank: rank of the LoRA matrices.
        language: of the texts, as ``en``; None for models that know English alone.
    """

    def __init__(
        self, name: str, *, tuning: str | int = "full", lora_rank: int = 8, language: str | None = None
    ) -> None:
        super().__init__()
        check_tuning(name, tuning, lora_rank)
        self.name = name
        self.tuning = tuning
        self.lora_rank = lora_rank
        self.language = language
        self.frozen = tuning == "frozen"

    def build(self, dim: int, facts: Facts) -> None:
        """Load the weights, or make random ones if a checkpoint's facts know the architecture.

        Raises:
            UserError: no such model, another width than ``dim``, or a tokenizer that is not Whisper's.
        """
        model = make_model(self.name, facts.get("decoder", {}))
        config = model.config
        if config.model_type != "whisper":
            raise UserError(f"{self.name} is a model of type {config.model_type}; WhisperDecoder takes Whisper's")
        if config.d_model != dim:
            raise UserError(f"{self.name} reads tokens of width {config.d_model}: set backbone.dim, now {dim}, to it")
        self.architecture = plain_config(config)
        self._read_symbols(facts["transcript"], config.vocab_size)
        self.max_length = config.max_target_positions - len(self.prompt)
        self.model = tune(model.decoder, self.tuning, self.lora_rank)
        self.train(self.training)

    def learned_facts(self) -> Facts:
        """The model's configuration, from which ``build`` needs no files."""
        return {"decoder": {"architecture": self.architecture}}

    def forward(self, ids: Tensor, memory: Tokens) -> Tensor:
        """Texts (B, L), memory (B, N, D) -> logits (B, L + 1, V)."""
        prompt = torch.tensor(self.prompt, device=ids.device).expand(len(ids), -1)
        x = self._run(torch.cat([prompt, ids], dim=1), memory, None)
        return F.linear(x[:, len(self.prompt) - 1 :], self.model.embed_tokens.weight).float()

    def begin(self, memory: Tokens) -> tuple[Tensor, Any]:
        """Memory (B, N, D) -> log probabilities (B, V) of the first symbol, and the state."""
        from transformers import DynamicCache, EncoderDecoderCache

        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        prompt = torch.tensor(self.prompt, device=memory.x.device).expand(len(memory.x), -1)
        return self._next(prompt, (cache, memory, self._output_weights()))

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Symbols (B,) -> log probabilities (B, V), and the state."""
        return self._next(ids[:, None], state)

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """Take rows of everything."""
        cache, memory, weights = state
        cache.batch_select_indices(rows)
        return cache, Tokens(memory.x[rows], memory.mask[rows]), weights

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen model never enters."""
        return super().train(mode and not self.frozen)

    def _read_symbols(self, transcript: dict[str, Any], vocab_size: int) -> None:
        """From the tokenizer: what begins a text, what ends it, and what never comes within one."""
        tokenizer = tokenizers.Tokenizer.from_str(transcript["tokenizer"]["state"]["json"])
        language = [] if self.language is None else [f"<|{self.language}|>", "<|transcribe|>"]
        names = [START, *language, "<|notimestamps|>"]
        ids = {name: i for name in [*names, END] if (i := tokenizer.token_to_id(name)) is not None}
        if not ids.keys() >= {*names, END} or transcript["vocab_size"] > vocab_size:
            raise UserError(f"the transcripts' tokenizer is not that of {self.name}: set data.text.tokenizer to it")
        self.prompt, self.end = [ids[name] for name in names], ids[END]
        written = torch.arange(vocab_size) < self.end + 1  # in the vocabulary of Whisper all beyond the end are special
        self.register_buffer("written", written, persistent=False)

    def _next(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        cache, memory, weights = state
        logits = (self._run(ids, memory, cache)[:, -1] @ weights).float()
        return logits.masked_fill(~self.written, -torch.inf).log_softmax(dim=-1), state

    def _output_weights(self) -> Tensor:
        """Those of the symbols (D, V); on a CPU a copy in the order that is quick for few rows, see decision 0041."""
        weights: Tensor = self.model.embed_tokens.weight.T
        return weights.contiguous() if weights.device.type == "cpu" else weights

    def _run(self, ids: Tensor, memory: Tokens, cache: Any) -> Tensor:
        """Symbols (B, L) that follow those of the cache -> hidden states (B, L, D).

        transformers' own forward reads all of the memory; here what is not real is masked.
        """
        past = 0 if cache is None else cache.get_seq_length()
        model, length = self.model, ids.shape[1]
        x = model.embed_tokens(ids) + model.embed_positions.weight[past : past + length]
        x = F.dropout(x, model.dropout, self.training)
        readable = None
        if not memory.mask.all():
            readable = (memory.mask | ~memory.mask.any(dim=1, keepdim=True))[:, None, None].expand(-1, 1, length, -1)
        causal = torch.ones(length, past + length, dtype=torch.bool, device=ids.device).tril(past)[None, None]
        for layer in model.layers:
            x = layer(x, causal, memory.x, encoder_attention_mask=readable, past_key_values=cache)
        return model.layer_norm(x)
