"""What MLflow keeps of a study's winners and checkpoints: models that answer, are registered, and say what they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow.pyfunc
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from logged_study import ROUNDING, Logged
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from safetensors.torch import save_file
from tracked_study import config, point, result, tracked

from pamfn.predict import main as predict
from tuning.score_metric import SPEARMAN
from tuning.tracking.checkpoints import models_of
from tuning.trial_files import write_checkpoint
from tuning.winners import winner_folder
from tuning.winners.markdown import code, plain
from tuning.winners.names import registered_name


@pytest.fixture(scope="module", name="logged")
def _logged(planted_shards, tmp_path_factory):
    return Logged(planted_shards, tmp_path_factory.mktemp("logged"))


def test_predict_says_bitwise_what_the_final_stage_predicted(logged, tmp_path):
    for model in (logged.folder, logged.artifacts):
        out = tmp_path / "scores.parquet"
        assert predict([str(model), "--data", logged.study.data, "--split", "test", "--out", str(out)]) == 0
        rows = pq.read_table(out).to_pylist()
        found = {(f"{r['action']}/all/seed{s}", r["video_id"]): r[f"score.all/seed{s}"] for r in rows for s in (0, 1)}
        assert found == logged.predicted


def test_the_model_that_mlflow_loads_says_bitwise_what_the_final_stage_predicted(logged, monkeypatch):
    model = mlflow.pyfunc.load_model(str(logged.artifacts))
    logged.check(model.predict(logged.clips()).to_dict("records"))
    clip = logged.clips()[0]
    (alone,) = model.predict([clip]).to_dict("records")
    for each in alone["networks"]:
        assert each["score"] == pytest.approx(logged.predicted[each["name"], clip["video_id"]], abs=ROUNDING)
        assert len(each["decisions"]) == len(each["attention"]) == 2
    assert alone["score"] == pytest.approx(sum(each["score"] for each in alone["networks"]) / 2)
    monkeypatch.setenv("PAMFN_SERVING_DATA", logged.study.data)
    named = [{"data": logged.study.data, "video_id": video} for video in logged.test.video_ids]
    model = mlflow.pyfunc.load_model(str(logged.artifacts))
    logged.check(model.predict(named, params={"details": False}).to_dict("records"))


def test_a_wrong_request_is_answered_with_what_is_wrong_and_nothing_else(logged):
    model = mlflow.pyfunc.load_model(str(logged.artifacts))
    clip = logged.clips()[0]
    with pytest.raises(MlflowException) as caught:
        model.predict([{**clip, "rgb": [[0.0]]}])
    caught.value.message = f"Failed to predict data '{clip}'. Error: {caught.value.message}"  # as the server does
    said = json.loads(caught.value.serialize_as_json())
    name = repr(clip["video_id"])
    wanted = "wanted a list of segments, each a list of 16 numbers"
    assert said == {
        "error_code": "BAD_REQUEST",
        "message": f"clip 0 ({name}): rgb: given 1 number in segment 0; {wanted}",
    }
    assert caught.value.get_http_status_code() == 400


def test_the_model_loads_where_nothing_is_installed_that_trains(logged, tmp_path):
    program = (
        "import sys, json\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('ray', 'tuning', 'hyperopt', 'matplotlib'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "import mlflow.pyfunc\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "import pamfn\n"
        "print(json.dumps([pamfn.__file__, model.predict(model.input_example).to_dict('records')]))\n"
    )
    words = [sys.executable, "-P", "-c", program, str(logged.artifacts)]
    environment = {"PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    where, (answer,) = json.loads(done.stdout.splitlines()[-1])
    assert Path(where) == logged.artifacts / "code" / "pamfn" / "__init__.py"
    assert answer["action"] == "Ball"


def test_a_model_is_safetensors_json_and_source_and_no_pickle(logged):
    made = logged.folder / "model"  # Python leaves bytecode where the model has been loaded from
    kinds = {path.suffix for path in made.rglob("*") if path.is_file() and path.name != "MLmodel"}
    assert kinds == {".safetensors", ".json", ".py", ".md", ".png", ".txt", ".yaml"}
    description = yaml.safe_load((logged.artifacts / "MLmodel").read_text())
    assert description["model_id"] == logged.model.model_id
    assert set(description["flavors"]["python_function"]) == {
        *("code", "env", "loader_module", "python_version", "streamable")
    }


def test_the_best_is_the_champion_of_every_class_it_scores(logged):
    for action in ("Ball", "Hoop"):
        version = logged.client.get_model_version_by_alias(f"pamfn-{action}", "champion")
        assert (version.run_id, version.source) == (logged.model.source_run_id, str(logged.artifacts))
        assert version.tags["logged_model"] == logged.model.model_id
        assert version.tags["data_digest"] == logged.study.digest
        assert version.description.startswith("# Scores of Ball, Hoop\n")
        assert len(version.description) < 5000
    shown = json.loads(logged.client.get_logged_model(logged.model.model_id).tags["mlflow.modelVersions"])
    assert shown == [{"name": "pamfn-Ball", "version": 1}, {"name": "pamfn-Hoop", "version": 1}]


def test_a_resumed_study_registers_nothing_twice_and_a_later_winner_makes_it_the_previous(logged):
    client, name = logged.client, "pamfn-Ball"
    first = client.get_model_version_by_alias(name, "champion").version
    logged.tell(resume=True)
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    logged.tell()  # a study of the same name that begins afresh
    assert {k: str(v) for k, v in client.get_registered_model(name).aliases.items()} == {
        "champion": "2",
        "previous": str(first),
    }
    client.set_registered_model_alias(name, "champion", first)  # by hand
    logged.tell(resume=True)
    assert str(client.get_model_version_by_alias(name, "champion").version) == str(first)


def test_the_logged_model_has_its_numbers_on_its_data(logged):
    fusion = logged.results["candidates"][0]["models"]["fusion"]["average"]
    found = {metric.key: metric for metric in logged.model.metrics}
    assert found["final_test_spearman"].value == fusion["spearman"]
    assert found["final_test_spearman_low"].value == fusion["low"]
    run = logged.client.get_run(logged.model.source_run_id)
    assert {metric.dataset_digest for metric in found.values()} == {run.inputs.dataset_inputs[0].dataset.digest}
    assert logged.model.params["fusion_nets"] == "3"
    assert logged.model.tags["mlflow.note.content"].startswith("# Scores of Ball, Hoop\n")


def test_the_card_says_what_a_user_must_know(logged):
    card = (logged.artifacts / "model_card.md").read_text()
    fusion = logged.results["candidates"][0]["models"]["fusion"]
    for told in (fusion["average"], *fusion["classes"].values()):
        assert f"| {told['spearman']:.3f} | {told['low']:.3f} to {told['high']:.3f} |" in card
    for words in (
        *(f"digest `{logged.study.digest}`", "opening 1 of this data's test split", "averaged over 2 seeds"),
        *("2 folds cut inside the training split", "`rgb`: 16 numbers a segment", "Ball: 0 to 25; Hoop: 0 to 25"),
        *("is no judge", "MIT licence", "models:/pamfn-Ball@champion"),
    ):
        assert words in card, words
    images = [line.rpartition("(")[2].rstrip(")") for line in card.splitlines() if line.startswith("![")]
    assert images == [f"figures/figure{kind}-{video}.png" for video in (1, 2, 3) for kind in (7, 8)]
    for image in images:
        assert (logged.artifacts / image).read_bytes().startswith(b"\x89PNG")


def test_the_folder_of_a_model_is_made_once_and_anew_for_other_networks(logged):
    row = logged.results["candidates"][0]
    folder = winner_folder(logged.study, logged.results, row, logged.folder)
    before = (folder / "MLmodel").stat().st_mtime_ns
    assert winner_folder(logged.study, logged.results, row, logged.folder) == folder
    assert (folder / "MLmodel").stat().st_mtime_ns == before
    weights = logged.folder / "networks.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content)
    winner_folder(logged.study, logged.results, row, logged.folder)
    assert (folder / "MLmodel").stat().st_mtime_ns > before


HOSTILE = [
    "../../etc/passwd",
    "a/b:c",
    "x' or name != '",
    "<script>alert(1)</script>",
    "",
    " ",
    "..",
    "Ünïcode",
    "a" * 200,
]


def test_no_class_can_choose_what_it_is_registered_as():
    names = [registered_name(action) for action in HOSTILE]
    assert len(set(names)) == len(HOSTILE)
    for name in names:
        assert name.startswith("pamfn-")
        assert len(name) < 80
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
        assert ".." not in name
    assert registered_name("Ball") == "pamfn-Ball"
    assert registered_name("a/b") != registered_name("a:b") != registered_name("a_b")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ball_1", r"Ball\_1"),
        ("a|b", r"a\|b"),
        ("<img src=x onerror=alert(1)>", r"&lt;img src=x onerror=alert\(1\)&gt;"),
        ("[click](http://x)", r"\[click\]\(http\://x\)"),
        ("![x](y)", r"!\[x\]\(y\)"),
        ("`rm -rf`", r"\`rm -rf\`"),
        ("one\n\n# two", r"one \# two"),
        ("a\\`b", r"a\\\`b"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_a_name_stays_a_name_in_the_card(name, shown):
    assert plain(name) == shown
    assert code("rgb") == "`rgb`"
    assert "`" not in code("a`b").replace(r"\`", "")


STATES = [{"step": torch.tensor(9), "weights/a": torch.ones(3), "optimizer/a": torch.zeros(3)}]


def saved(folder: Path, *, best_epoch: int | None = 2) -> Path:
    """Writes a checkpoint of a trial whose second epoch was its best."""
    folder.mkdir()
    curve = [point(1, 0.2), point(2, 0.5), point(3, 0.4)]
    standing = {"config": config(0), "curve": curve, "best_epoch": best_epoch}
    write_checkpoint(folder, STATES, [{"a": torch.zeros(3)}], standing, ended=True)
    return folder


def test_a_checkpoint_is_two_models_with_the_scores_of_their_epochs_and_the_data(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    checkpoint = saved(tmp_path / "checkpoint")
    tracker.trial_reported("t0", result(0, curve=json.loads((checkpoint / "trial.json").read_text())["curve"]))
    for _ in range(2):  # an end that is told again
        tracker.log_checkpoint("t0", checkpoint)
    for path in list(checkpoint.iterdir()):
        path.unlink()
    assert tracker.settle().refused == 0
    client, run_id = MlflowClient(tracker.uri), tracker.run_id("t0")
    models = {model.name: model for model in client.search_logged_models([tracker.experiment_id])}
    assert set(models) == {"trial-t0-best", "trial-t0-last"}
    for name, epoch, score in (("trial-t0-best", 2, 0.5), ("trial-t0-last", 3, 0.4)):
        model = models[name]
        assert (model.status, model.model_type, model.source_run_id) == ("READY", "checkpoint", run_id)
        found = {metric.key: metric for metric in model.metrics}
        assert (found["val_spearman"].value, found["val_spearman"].step) == (score, epoch)
        (second,) = [metric for key, metric in found.items() if key.endswith("fold1")]
        assert second.value == score + 0.02
        assert {metric.dataset_name for metric in model.metrics} == {"rg"}
        kept = {path.name for path in Path(model.artifact_location).iterdir()}
        assert kept == {f"{name.rpartition('-')[2]}.safetensors", "trial.json", "MLmodel"}
    steps = {model.model_id: model.step for model in client.get_run(run_id).outputs.model_outputs}
    assert steps == {models["trial-t0-best"].model_id: 2, models["trial-t0-last"].model_id: 3}
    assert [p.step for p in client.get_metric_history(run_id, "val_spearman")] == [1, 2, 3]
    tracker.end_study("finished")
    assert not (Path(tracker.record.storage) / "outbox").exists()


def test_a_checkpoint_without_a_best_epoch_is_its_last(tmp_path):
    assert [one.which for one in models_of(saved(tmp_path / "none", best_epoch=None), SPEARMAN)] == ["last"]
    folder = tmp_path / "early"
    folder.mkdir()
    save_file({"a": torch.ones(1)}, folder / "last.safetensors")
    (folder / "trial.json").write_text('{"curve": [], "best_epoch": null}')
    assert models_of(folder, SPEARMAN) == []
