"""Speech on disk: every layout gives the same rows; bad rows are named."""

import json

import pytest
import soundfile
import torch

from mmtasks.data.speech_sources import CommonVoice, LibriSpeech, LJSpeech, SpeechManifest
from mmtasks.errors import UserError

TEXTS = {"19-198-0000": "northanger abbey", "19-198-0001": "this little work"}


def wav(path, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, torch.linspace(0, 0.5, int(16_000 * seconds)).numpy(), 16_000)


def manifest(folder, *rows, name="m.jsonl"):
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows))
    return str(folder / name)


def row(**changes):
    return {"id": "1", "audio": "a.wav", "text": "hello", **changes}


def every_source(folder):
    for name in TEXTS:
        wav(folder / "libri" / "19" / "198" / f"{name}.flac")
        wav(folder / "lj" / "wavs" / f"{name}.wav")
        wav(folder / "cv" / "clips" / f"{name}.wav")
        wav(folder / f"{name}.wav")
    lines = "".join(f"{name} {text.upper()}\n" for name, text in TEXTS.items())
    (folder / "libri" / "19" / "198" / "19-198.trans.txt").write_text(lines)
    (folder / "lj" / "metadata.csv").write_text("".join(f"{n}|{t.title()}|{t}\n" for n, t in TEXTS.items()))
    lines = "".join(f"19\t{name}.wav\t{text}\ten\n" for name, text in TEXTS.items())
    (folder / "cv" / "train.tsv").write_text("client_id\tpath\tsentence\tlocale\n" + lines)
    (folder / "m.csv").write_text("id,audio,text\n" + "".join(f"{n},{n}.wav,{t}\n" for n, t in TEXTS.items()))
    yield SpeechManifest(manifest(folder, *[{"id": n, "audio": f"{n}.wav", "text": t} for n, t in TEXTS.items()]))
    yield SpeechManifest(str(folder / "m.csv"))
    yield LibriSpeech(str(folder / "libri"))
    yield LJSpeech(str(folder / "lj"))
    yield CommonVoice(str(folder / "cv" / "train.tsv"))


def test_all_sources_give_the_same_rows(tmp_path):
    for source in every_source(tmp_path):
        assert source.problems == []
        assert {r.id: r.text for r in source} == TEXTS
        assert all(len(r.load().samples) == 1600 for r in source)


def test_speakers_and_languages_are_known(tmp_path):
    known = [(source[0].speaker, source[0].language) for source in every_source(tmp_path)]
    assert known == [("", ""), ("", ""), ("19", "en"), ("", "en"), ("19", "en")]


def test_a_row_may_be_part_of_a_recording(tmp_path):
    wav(tmp_path / "a.wav", seconds=1.0)
    parts = [row(id=i, start=i * 0.25, end=(i + 1) * 0.25) for i in range(4)]
    source = SpeechManifest(manifest(tmp_path, *parts))
    assert [r.seconds for r in source] == [0.25] * 4
    whole = torch.cat([r.load().samples for r in source])
    torch.testing.assert_close(whole, torch.linspace(0, 0.5, 16_000), atol=1e-4, rtol=0)


def test_limit_and_skip_take_a_slice(tmp_path):
    wav(tmp_path / "a.wav")
    path = manifest(tmp_path, *[row(id=i) for i in range(5)])
    assert [r.id for r in SpeechManifest(path, skip=1, limit=2)] == ["1", "2"]


def test_recordings_may_be_kept_once_they_were_decoded(tmp_path):
    wav(tmp_path / "a.wav")
    path = manifest(tmp_path, row(), row(id="2", start=0.02, end=0.05))
    kept, read = SpeechManifest(path, keep=True), SpeechManifest(path)
    expected = [r.load() for r in read]
    assert kept[0].load() is kept[0].load()
    kept[1].load()
    (tmp_path / "a.wav").unlink()
    for r, audio in zip(kept, expected, strict=True):
        assert torch.equal(r.load().samples, audio.samples)
    with pytest.raises(UserError, match="no such recording"):
        read[0].load()


def test_speakers_can_be_chosen(tmp_path):
    wav(tmp_path / "a.wav")
    path = manifest(tmp_path, *[row(id=i, speaker="ab"[i % 2]) for i in range(4)])
    assert [r.id for r in SpeechManifest(path, speakers=["b"])] == ["1", "3"]
    with pytest.raises(UserError, match="no row has the speaker 'c'"):
        SpeechManifest(path, speakers=["a", "c"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"audio": "none.wav"}, "no such recording"),
        ({"audio": ""}, "names no recording"),
        ({"text": "  "}, "the text is empty"),
        ({"text": 7}, "not text"),
    ],
)
def test_unusable_rows_are_left_out_and_named(tmp_path, changes, problem):
    wav(tmp_path / "a.wav")
    source = SpeechManifest(manifest(tmp_path, row(), row(id="2", **changes)))
    assert [r.id for r in source] == ["1"]
    assert len(source.problems) == 1
    assert source.problems[0].startswith("m.jsonl:2: ")
    assert problem in source.problems[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": "../a.wav"}, "leaves the manifest's folder"),
        ({"audio": "/a.wav"}, "absolute"),
        ({"start": "soon"}, "start is 'soon'"),
        ({"start": 2, "end": 1}, "not after start"),
        ({"duration": -1}, "duration is -1"),
    ],
)
def test_wrong_rows_stop_with_their_line(tmp_path, changes, message):
    wav(tmp_path / "a.wav")
    with pytest.raises(UserError, match=f"m.jsonl:2: .*{message}"):
        SpeechManifest(manifest(tmp_path, row(), row(id="2", **changes)))


def test_folders_of_another_layout_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no \*.trans.txt"):
        LibriSpeech(str(tmp_path))
    with pytest.raises(UserError, match="metadata.csv"):
        LJSpeech(str(tmp_path))
    (tmp_path / "train.tsv").write_text("path\tage\na.mp3\t7\n")
    with pytest.raises(UserError, match="train.tsv:1: column 'sentence' is missing"):
        CommonVoice(str(tmp_path / "train.tsv"))


def test_an_end_beyond_the_recording_is_named_unless_it_is_a_rounding(tmp_path):
    wav(tmp_path / "a.wav", 1.0)
    ends = {"1": 1.04, "2": 1.06, "3": None}
    rows = SpeechManifest(manifest(tmp_path, *[row(id=key, start=0.5, end=end) for key, end in ends.items()]))
    assert rows[0].load().seconds == rows[2].load().seconds == 0.5
    with pytest.raises(UserError, match=r"m.jsonl:2: .*a.wav: end is 1.06 s, the recording ends at 1.00 s"):
        rows[1].load()
