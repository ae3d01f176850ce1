"""The cache gives back what was put in, and only that."""

import errno
import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from mmtasks.data import feature_cache
from mmtasks.data.feature_cache import FeatureCache, fingerprint
from mmtasks.errors import UserError
from mmtasks.types import Modality, Tokens


def test_what_is_added_is_there_for_others(tmp_path: Path) -> None:
    first, second = FeatureCache(tmp_path, "key"), FeatureCache(tmp_path, "key")
    first.add(["a", "b"], [torch.ones(2, 3), torch.zeros(1, 3)])
    assert second.missing(["a", "b", "c"]) == ["a", "b", "c"]
    second.refresh()
    assert second.missing(["a", "b", "c"]) == ["c"]
    assert second["a"].equal(torch.ones(2, 3))
    assert second["b"].equal(torch.zeros(1, 3))


@pytest.mark.parametrize("damage", ["cut", "flip", "no index"])
def test_damaged_shards_are_computed_again(tmp_path: Path, damage: str) -> None:
    FeatureCache(tmp_path, "key").add(["a"], [torch.ones(4, 8)])
    shard = next((tmp_path / "key").glob("*.npy"))
    data = bytearray(shard.read_bytes())
    if damage == "cut":
        shard.write_bytes(data[:-5])
    elif damage == "flip":
        data[-1] ^= 1
        shard.write_bytes(data)
    else:
        shard.with_suffix(".json").unlink()
    assert FeatureCache(tmp_path, "key").missing(["a"]) == ["a"]


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="latin-1")
    assert old in text
    path.write_text(text.replace(old, new), encoding="latin-1")


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"ids": ["a"], "lengths": 4, "crc": 0}', "\x93NUMPY"])
@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_files_without_a_shard_are_computed_again(tmp_path: Path, suffix: str, content: str) -> None:
    FeatureCache(tmp_path, "key").add(["a"], [torch.ones(4, 8)])
    next((tmp_path / "key").glob(f"*{suffix}")).write_text(content, encoding="latin-1")
    assert FeatureCache(tmp_path, "key").missing(["a"]) == ["a"]


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        (".json", '["a", "b"]', '["b", "a"]'),
        (".json", "[2, 1]", "[1, 2]"),
        (".json", '["a", "b"]', '["a"]'),
        (".npy", "<f2", "<i2"),
        (".npy", "(3, 8)", "(3, 4)"),
        (".npy", "False", "True "),
    ],
)
def test_features_are_of_those_ids_and_of_that_shape(tmp_path: Path, suffix: str, old: str, new: str) -> None:
    FeatureCache(tmp_path, "key").add(["a", "b"], [torch.ones(2, 8), torch.arange(8.0)[None]])
    _replace(next((tmp_path / "key").glob(f"*{suffix}")), old, new)
    assert FeatureCache(tmp_path, "key").missing(["a", "b"]) == ["a", "b"]


def test_a_shard_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    FeatureCache(tmp_path, "key").add(["a"], [torch.ones(4, 8)])
    index = next((tmp_path / "key").glob("*.json"))
    content = json.loads(index.read_text())
    del content["layout_crc"]
    index.write_text(json.dumps(content))
    assert FeatureCache(tmp_path, "key")["a"].equal(torch.ones(4, 8))


def test_fingerprint_follows_weights_and_transform() -> None:
    module = nn.Linear(2, 2)
    before = fingerprint(module, {"size": 1})
    assert fingerprint(module, {"size": 1}) == before
    assert fingerprint(module, {"size": 2}) != before
    with torch.no_grad():
        module.weight += 1
    assert fingerprint(module, {"size": 1}) != before


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another cache folder"):
        FeatureCache(tmp_path / "file", "key")


class _Mean(nn.Module):
    def forward(self, modality: Modality) -> Tokens:
        return Tokens(modality.data.mean(dim=1, keepdim=True), modality.mask[:, :1])


def _fill(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    loaders = {str(k): partial(torch.full, (1 + k % 3, 2), float(k)) for k in range(50)}
    FeatureCache(folder, "key").fill(loaders, _Mean(), device=torch.device("cpu"), batch_size=1)


def test_processes_that_fill_the_same_cache_do_not_disturb_each_other(tmp_path: Path) -> None:
    mp.spawn(_fill, (str(tmp_path),), nprocs=2)
    cache = FeatureCache(tmp_path, "key")
    assert cache.missing(map(str, range(50))) == []
    assert [float(cache[str(k)].mean()) for k in range(50)] == list(range(50))


def test_a_write_that_is_cut_off_leaves_nothing_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache(tmp_path, "key")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cache.add(["a"], [torch.ones(2, 3)])
    assert FeatureCache(tmp_path, "key").missing(["a"]) == ["a"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache(tmp_path, "key")
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(full))
    with pytest.raises(UserError, match="key: cannot be written .No space left"):
        cache.add(["a"], [torch.ones(2, 3)])
    assert not list(tmp_path.rglob("*.npy*"))


def _loaders(number: int, stop_at: int, error: type[BaseException]) -> dict:
    """Samples of which one cannot be had."""

    def load(k: int) -> torch.Tensor:
        if k == stop_at:
            raise error
        return torch.full((1, 2), float(k))

    return {str(k): partial(load, k) for k in range(number)}


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError])
def test_what_was_finished_before_a_stop_is_kept(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        FeatureCache(tmp_path, "key").fill(_loaders(9, 5, error), _Mean(), device=torch.device("cpu"), batch_size=2)
    again = FeatureCache(tmp_path, "key")
    assert again.missing(map(str, range(9))) == ["4", "5", "6", "7", "8"]
    assert float(again["3"].mean()) == 3
    again.fill(_loaders(9, -1, error), _Mean(), device=torch.device("cpu"), batch_size=2)
    assert again.missing(map(str, range(9))) == []


def test_what_is_finished_is_written_as_time_goes_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process gets no chance to write."""
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(feature_cache, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    written: list[list[str]] = []
    monkeypatch.setattr(FeatureCache, "add", lambda _, ids, features: written.append(ids))
    loaders = _loaders(7, -1, UserError)
    FeatureCache(tmp_path, "key").fill(loaders, _Mean(), device=torch.device("cpu"), batch_size=1)
    assert len(written) > 2 and [i for ids in written for i in ids] == list(loaders)
