"""Features of a frozen encoder on disk: computed once a sample, not once an epoch."""

import hashlib
import json
import os
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mmtasks.data.collate import pad_modality
from mmtasks.data.manifest import expand
from mmtasks.data.processes import cores
from mmtasks.errors import UserError
from mmtasks.types import Modality

SHARD, SHARD_SECONDS = 1024, 60.0
"""The most samples of a file, and the longest that finished ones wait to be written: a killed run loses no more."""


def fingerprint(module: nn.Module, *descriptions: object) -> str:
    """A key of the encoder's weights and of what else decides its output: options and transform, as plain values."""
    digest = hashlib.sha256(json.dumps(descriptions, sort_keys=True).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:20]


class FeatureCache:
    """Shards of float16 features under ``folder/key``.

    A shard is written under a temporary name and renamed, its index last: of a write that is cut off nothing is read.
    Every writer makes its own shards, so processes do not disturb each other. Shards that fail their checksum are
    left out and computed again.

    Args:
        folder: where all caches lie.
        key: what the features depend on, see ``fingerprint``.

    Raises:
        UserError: the folder cannot be made, or when features are added, not be written.
    """

    def __init__(self, folder: str | Path, key: str) -> None:
        self.folder = Path(folder) / key
        self._arrays: dict[str, np.ndarray] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None
        self.refresh()

    def refresh(self) -> None:
        """Read what all processes have written."""
        for index in sorted(self.folder.glob("*.json")):
            self._open(index)

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those of the ids that have no features yet."""
        return [i for i in ids if i not in self._arrays]

    def add(self, ids: list[str], features: list[Tensor]) -> None:
        """Write one shard: features (N_i, D), one for each id."""
        name = uuid.uuid4().hex
        arrays = [feature.detach().cpu().to(torch.float16).numpy() for feature in features]
        data = np.concatenate(arrays)
        self._write(f"{name}.npy", lambda file: np.save(file, data))
        lengths = [len(a) for a in arrays]
        checksums = {"crc": zlib.crc32(data.tobytes()), "layout_crc": _layout_checksum(ids, lengths, data)}
        index = {"ids": ids, "lengths": lengths, **checksums}
        self._write(f"{name}.json", lambda file: file.write(json.dumps(index).encode()))
        self._open(self.folder / f"{name}.json")

    def __getitem__(self, key: str) -> Tensor:
        """Features (N, D) float32 of one id."""
        return torch.from_numpy(np.asarray(self._arrays[key], dtype=np.float32))

    def fill(
        self,
        loaders: dict[str, Callable[[], Tensor]],
        encoder: nn.Module,
        *,
        device: torch.device,
        pad_value: float = 0,
        batch_size: int = 64,
    ) -> None:
        """Encode what is missing of ``loaders``: by id, a function that gives the raw sample (T, …).

        What is finished is kept, whatever stops the rest.
        """
        ids = self.missing(loaders)
        if not ids:
            return
        parts = [ids[first : first + batch_size] for first in range(0, len(ids), batch_size)]
        shard: dict[str, Tensor] = {}
        began = time.monotonic()
        with tqdm(total=len(ids), desc=f"features of {type(encoder).__name__}", unit="sample") as progress:
            try:
                for part, samples in zip(parts, _loaded_ahead(parts, loaders), strict=True):
                    features = _encode(samples, encoder, device, pad_value)
                    shard |= dict(zip(part, features, strict=True))
                    progress.update(len(part))
                    if len(shard) >= SHARD or time.monotonic() - began >= SHARD_SECONDS:
                        full, shard, began = shard, {}, time.monotonic()
                        self.add(list(full), list(full.values()))
            finally:
                if shard:
                    self.add(list(shard), list(shard.values()))

    def _write(self, name: str, write) -> None:  # type: ignore[no-untyped-def]
        temporary = self.folder / f".{name}.{os.getpid()}"
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.folder / name)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self.folder}: cannot be written ({error.strerror}); choose another cache folder")

    def _open(self, index_path: Path) -> None:
        try:
            shard = _read_shard(index_path)
        except Exception:  # damaged files raise whatever numpy's and json's readers do
            return
        for key, features in shard.items():
            self._arrays.setdefault(key, features)


def _read_shard(index_path: Path) -> dict[str, np.ndarray]:
    """Features (N, D) by id.

    Raises:
        ValueError: a checksum says that index or features are damaged; other errors if they cannot be read at all.
    """
    index = json.loads(index_path.read_bytes())
    data = np.load(index_path.with_suffix(".npy"), mmap_mode="r")
    ids, lengths = index["ids"], index["lengths"]
    layout = _layout_checksum(ids, lengths, data)
    if zlib.crc32(np.ascontiguousarray(data).tobytes()) != index["crc"] or index.get("layout_crc", layout) != layout:
        raise ValueError(f"{index_path.name}: damaged")
    if len(data) != sum(lengths):
        raise ValueError(f"{index_path.name}: of other features")
    stops = np.cumsum(lengths)
    return {key: data[stop - length : stop] for key, length, stop in zip(ids, lengths, stops, strict=True)}


def _layout_checksum(ids: list[str], lengths: list[int], data: np.ndarray) -> int:
    """Of what says whose the bytes are and how to read them; indexes of earlier versions have none."""
    return zlib.crc32(json.dumps([ids, lengths, data.dtype.str, data.shape]).encode())


def cached_features(
    encoder: nn.Module,
    loaders: dict[str, Callable[[], Tensor]],
    folder: str,
    *descriptions: object,
    device: torch.device,
    trainer: Any = None,
    pad_value: float = 0,
    batch_size: int = 64,
) -> FeatureCache:
    """The features of a frozen encoder for all samples; those that no process has computed yet are computed first.

    Args:
        encoder: the encoder.
        loaders: by id, a function that gives the raw sample (T, …).
        folder: where all caches lie; environment variables are filled in.
        descriptions: plain values that decide what the loaders give.
        device: where the encoder is.
        trainer: of lightning; each of its processes computes its part.
        pad_value: fills up a batch of samples.
        batch_size: samples encoded at once.
    """
    cache = FeatureCache(expand(folder), fingerprint(encoder, *descriptions))
    fill = partial(cache.fill, encoder=encoder, device=device, pad_value=pad_value, batch_size=batch_size)
    if trainer:
        fill(dict(list(loaders.items())[trainer.global_rank :: trainer.world_size]))
        trainer.strategy.barrier()
        cache.refresh()
    fill(loaders)  # nothing is left, unless processes do not share the folder
    return cache


def _loaded_ahead(parts: list[list[str]], loaders: dict[str, Callable[[], Tensor]]) -> Iterator[list[Tensor]]:
    """The raw samples (T, …) of each part, read in threads while the part before it is encoded."""
    pool = ThreadPoolExecutor(cores())
    begun = ([pool.submit(loaders[i]) for i in part] for part in parts)
    try:
        for samples, _ in pairwise(chain(begun, [None])):  # begins the next part before it gives one
            yield [sample.result() for sample in samples or []]
    finally:
        pool.shutdown(cancel_futures=True)


@torch.inference_mode()
def _encode(samples: list[Tensor], encoder: nn.Module, device: torch.device, pad_value: float) -> list[Tensor]:
    """Raw samples (T_i, …) -> features (N_i, D) float16, on the CPU."""
    raw = pad_modality(samples, value=pad_value)
    tokens = encoder(Modality(raw.data.to(device), raw.mask.to(device)))
    return [x[mask].half().cpu() for x, mask in zip(tokens.x, tokens.mask, strict=True)]
