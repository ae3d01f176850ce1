"""What a model makes of a batch, as plain tensors to compare."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from mmtasks.backbone import Backbone
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Tokens

RTOL, ATOL = 1e-3, 1e-4
"""How far values of one sample may lie apart in batches of different shape, where sums run in another order."""


class Outputs(dict[str, Tensor]):
    """Tensors by what they are: ``encoded image``, ``fused``, ``output.scores``; rows of samples first."""

    def first(self, alone: "Outputs") -> "Outputs":
        """The part that is of the samples of ``alone``, which stand first: its rows, up to its lengths."""
        shapes = {name: value.shape for name, value in alone.items() if value.ndim}
        return Outputs({n: self[n][tuple(slice(size) for size in s)] for n, s in shapes.items() if n in self})

    def after(self, first: "Outputs") -> "Outputs":
        """The rows after those of ``first``."""
        return Outputs({n: value[len(first[n]) :] for n, value in self.items() if value.ndim and n in first})

    def expect_finite(self, what: str) -> None:
        """AssertionError for a NaN; minus infinity may be a log probability."""
        for name, value in self.items():
            if value.isnan().any():
                raise AssertionError(f"{what} makes a NaN in {name}")


def outputs(backbone: Backbone, objective: Objective, batch: Batch) -> Outputs:
    """Tokens before and after fusion, zero where padded, and whatever tensors the objective's output holds.

    Raises:
        AssertionError: it holds none that can be found.
    """
    with torch.inference_mode():
        tokens = backbone.encode(batch.inputs)
        found = {f"encoded {name}": _real(value) for name, value in tokens.items()}
        alike = _alike(tokens)
        if backbone.fusion is not None and alike:
            fused = backbone.fuse(alike)
            parts = {name: Tokens(fused.x[:, span], fused.mask[:, span]) for name, span in fused.spans.items()}
            found |= {f"fused {name}": _real(value) for name, value in parts.items()}
        output = objective(tokens, backbone.fuse, batch)
        made = dict(_tensors(output, "output"))
    if not made:
        raise AssertionError(
            f"{type(objective).__name__} gives a {type(output).__name__}, in which no tensor is found: give one, or a "
            "NamedTuple, dataclass, mapping or list of some"
        )
    return Outputs(found | made)


def expect_equal(one: Outputs, other: Outputs, complaint: str, *, exactly: bool = False) -> None:
    """AssertionError naming the first tensor that differs, and by how much."""
    if missing := one.keys() ^ other.keys():
        raise AssertionError(f"{complaint}: {', '.join(sorted(missing))} is there only once")
    for name, value in one.items():
        if value.shape != other[name].shape:
            shapes = [tuple(tensor.shape) for tensor in (value, other[name])]
            raise AssertionError(f"{complaint}: {name} has the shapes {shapes[0]} and {shapes[1]}")
        rtol, atol = (0.0, 0.0) if exactly else (RTOL, ATOL)
        if not torch.allclose(value.float(), other[name].float(), rtol=rtol, atol=atol, equal_nan=True):
            apart = (value.float() - other[name].float()).abs().nan_to_num().max()
            raise AssertionError(f"{complaint}: {name} differs by up to {float(apart):.2g}")


def _alike(tokens: dict[str, Tokens]) -> dict[str, Tokens]:
    """Equally many rows of each modality, those of a sample repeated where another has several of it; {} if unclear."""
    most = max(len(value.x) for value in tokens.values())
    if any(most % len(value.x) for value in tokens.values()):
        return {}
    return {
        name: Tokens(*(part.repeat_interleave(most // len(value.x), dim=0) for part in value))
        for name, value in tokens.items()
    }


def _real(tokens: Tokens) -> Tensor:
    """(B, N, D), zero where padded."""
    return tokens.x.masked_fill(~tokens.mask[..., None], 0)


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Tokens):
        yield name, _real(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}")
    elif isinstance(value, (tuple, list)):
        names = getattr(value, "_fields", range(len(value)))
        for key, item in zip(names, value, strict=True):
            yield from _tensors(item, f"{name}.{key}")
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name), f"{name}.{field.name}")
