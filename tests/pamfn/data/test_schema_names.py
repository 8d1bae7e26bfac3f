"""Names that modalities, scores, extractors, videos, actions and groups must not have."""

from __future__ import annotations

import dataclasses

import pytest
from torch import nn

from pamfn.data.rules import identity_faults
from pamfn.data.schema import MODULE_WORDS, Schema
from pamfn.data.shards import ShardError, read_table_of_contents, write_shards
from pamfn.inspect import main as inspect

ILLEGAL = ("a\x1b[2Jb", "a\nb", "a\0b", "a\u202ed", "a\u200fd", "x" * 300, "a\ud800b")


def test_no_branch_can_be_called_what_a_torch_module_calls_its_own() -> None:
    words = {name for name in dir(nn.ModuleDict()) if not name.startswith("_")}
    assert words <= MODULE_WORDS


@pytest.mark.parametrize("name", ILLEGAL, ids=ascii)
@pytest.mark.parametrize("kind", ["scores", "extractors"])
def test_the_metadata_of_shards_hold_no_name_that_a_terminal_would_act_on(kind: str, name: str) -> None:
    given = {"modalities": {"rgb": 2}, "scores": {"total": 1.0}}
    given |= {"scores": {name: 1.0}} if kind == "scores" else {"extractors": {"rgb": name}}
    with pytest.raises(ValueError, match=f"{kind[:-1]} '.*': a name has 1 to 100 characters") as caught:
        Schema(**given)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ILLEGAL[:-1], ids=ascii)
@pytest.mark.parametrize("kind", ["video_ids", "actions", "groups"])
def test_shards_that_others_wrote_are_refused_for_their_names(
    planted, tmp_path, capsys, monkeypatch, kind: str, name: str
) -> None:
    features = planted()
    names = (name, *getattr(features, kind)[1:])
    bad = dataclasses.replace(features, **{kind: names})
    with pytest.raises(ShardError, match="all of them printable"):
        write_shards(bad, tmp_path / "shards")
    monkeypatch.setattr("pamfn.data.shard_writer.writing_faults", lambda *_: [])
    write_shards(bad, tmp_path / "shards")
    with pytest.raises(ShardError) as caught:
        read_table_of_contents(tmp_path / "shards")
    (fault,) = caught.value.faults
    assert fault.startswith(kind.removesuffix("_ids").removesuffix("s"))
    assert "a name has 100 at most, all of them printable" in fault
    assert inspect([str(tmp_path / "shards")]) == 1
    told = capsys.readouterr()
    assert all(line.isprintable() for line in (told.out + told.err).splitlines())
    assert name not in told.out + told.err


def test_legal_names_stay_whatever_they_look_like(planted) -> None:
    features = planted()
    names = ("../../x", "<script>", "=cmd()", "%2e%2e", "CON", "x" * 100)
    hostile = dataclasses.replace(features, video_ids=(*names, *features.video_ids[len(names) :]))
    assert identity_faults(hostile) == []
