"""What nodes are asked, and what is made of their answers; the nodes are functions of this process."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayError

from pamfn.data.shards import read_table_of_contents
from tuning.preflight import answering
from tuning.preflight.answering import Answer, Question, answer, versions
from tuning.preflight.asking import HEAD, Told, ask, faults_of, names_of, notes_of, shared_file, unseen
from tuning.shipping import code_digest


def node(number: int, host: str = "host", **resources: float) -> dict[str, Any]:
    return {
        "NodeID": f"{number:08d}{'f' * 48}",
        "NodeManagerHostname": f"{host}{number}",
        "NodeManagerAddress": f"10.0.0.{number}",
        "Alive": True,
        "Resources": resources,
    }


class Nodes:
    """Stands in for Ray: each call is one node's, in turn; None never answers.

    Args:
        answers: What each node does with the question.
    """

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, *answers: Any) -> None:
        self._answers, self._said, self.cancelled = list(answers), dict[int, Any](), list[int]()

    def remote(self, **options: Any) -> Any:
        return lambda function: SimpleNamespace(options=lambda **o: SimpleNamespace(remote=self._call))

    def _call(self, question: Question) -> int:
        number = len(self._said)
        self._said[number] = None if self._answers[number] is None else (self._answers[number], question)
        return number

    def wait(self, references: list[int], timeout: float) -> tuple[list[int], list[int]]:
        done = [reference for reference in references if self._said[reference] is not None]
        if not done:
            time.sleep(timeout)
        return done, []

    def get(self, reference: int) -> Answer:
        function, question = self._said[reference]
        return function(question)

    def cancel(self, reference: int, *, force: bool) -> None:
        self.cancelled.append(reference)


@pytest.fixture(name="question")
def _question(tmp_path, planted_shards):
    storage = tmp_path / "studies"
    with shared_file(str(storage), 2) as (asked, token):
        yield Question(str(storage), asked, asked, token, str(planted_shards), "")


def digest_of(question: Question) -> str:
    return read_table_of_contents(question.data)[0].digest


def told_by(question: Question, *answers: Any, patience: float = 5.0) -> list[Told]:
    return ask(Nodes(*answers), question, [node(i) for i in range(len(answers))], patience)


def faults(question: Question, *answers: Any) -> list[str]:
    told = told_by(question, *answers)
    return [*faults_of(told, digest_of(question)), *unseen(told, question)]


def test_nodes_that_share_everything_are_sound(question):
    assert faults(question, answer, answer) == []


def test_nothing_is_left_behind(tmp_path):
    storage = tmp_path / "not" / "there"
    with shared_file(str(storage), 1) as (asked, token):
        answer(Question(str(storage), asked, f"{asked}-0", token, "", ""))
        assert len(list(storage.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []
    storage.mkdir(parents=True)
    with shared_file(str(storage), 1):
        pass
    assert list(storage.iterdir()) == []


def test_a_node_without_the_storage_is_named_and_makes_no_folder(question, tmp_path):
    other = tmp_path / "elsewhere"
    (fault,) = faults(question, answer, lambda q: answer(replace(q, storage=str(other))))
    assert fault == f"node host1 (10.0.0.1) does not see {other}; give a --storage that every node mounts"
    assert not other.exists()


def test_a_node_whose_storage_looks_the_same_and_is_another_is_named(question, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / question.asked).write_bytes(question.token)
    (fault,) = faults(question, answer, lambda q: answer(replace(q, storage=str(other))))
    assert fault.startswith(f"node host1 (10.0.0.1) writes to {question.storage}, and it is not here: its storage is")


def test_a_node_that_reads_other_data_or_none_is_named(question, tmp_path):
    (missing,) = faults(question, lambda q: answer(replace(q, data=str(tmp_path / "none"))), answer)
    assert missing.startswith("node host0 (10.0.0.0) cannot read the data (")
    assert missing.endswith("; put them where every node mounts them, or into a bucket")
    (stale,) = faults(question, answer, lambda q: replace(answer(q), data="0123456789abcdef"))
    mine = digest_of(question)[:12]
    assert stale.startswith(f"node host1 (10.0.0.1) reads other data: digest 0123456789ab, and the driver's is {mine};")


def test_a_node_with_other_code_or_another_library_is_named(question):
    found = faults(question, lambda q: replace(answer(q), code="x", versions={**versions(), "mlflow": "1.0"}))
    assert found[0].startswith(
        "node host0 (10.0.0.0) imports other code than was shipped; uninstall pamfn-tuning there"
    )
    assert found[1].startswith("node host0 (10.0.0.0) has mlflow 1.0, and the driver ")
    assert len(found) == 2


def test_a_node_without_mlflow_is_named_with_the_way_out(question):
    (fault,) = faults(question, lambda q: answer(replace(q, tracking_uri="http://127.0.0.1:9")))
    assert fault.startswith("node host0 (10.0.0.0) does not reach MLflow: tracking URI 'http://127.0.0.1:9': no answer")


def test_a_node_that_cannot_run_the_code_is_one_line(question):
    def broken(question: Question) -> Answer:
        raise RayError("Traceback\n\nModuleNotFoundError: No module named 'torch'")

    (fault,) = faults(question, broken)
    assert fault == "node host0 (10.0.0.0) cannot run the code: RayError: ModuleNotFoundError: No module named 'torch'"


def test_a_node_that_does_not_answer_is_one_failure_and_no_hang(question):
    nodes = Nodes(answer, None)
    told = ask(nodes, question, [node(0), node(1)], patience=0.2)
    (fault,) = faults_of(told, digest_of(question))
    assert fault.startswith("node host1 (10.0.0.1) has not answered within 0.2 s")
    assert nodes.cancelled == [1]


def test_everything_wrong_comes_at_once(question, tmp_path):
    far = lambda q: replace(answer(replace(q, storage=str(tmp_path / "x"))), code="x", data="y")  # noqa: E731
    assert len(faults(question, far, lambda q: answer(replace(q, tracking_uri="http://127.0.0.1:9")))) == 4


@pytest.mark.parametrize(("wrong", "said"), [(-100, "100 s behind"), (300, "ahead"), (0, "")])
def test_a_clock_that_is_wrong_is_noted_and_no_fault(question, wrong, said):
    told = told_by(question, lambda q: replace(answer(q), clock=time.time() + wrong))
    assert faults_of(told, digest_of(question)) == []
    notes = notes_of(told)
    assert len(notes) == bool(said)
    assert not notes or (said in notes[0] and "node host0 (10.0.0.0)" in notes[0])


def test_nodes_of_one_address_are_told_apart_by_their_ids():
    same = [{**node(i), "NodeManagerAddress": "127.0.0.1", "NodeManagerHostname": "127.0.0.1"} for i in (1, 2)]
    assert names_of(same) == ["node 127.0.0.1 (00000001)", "node 127.0.0.1 (00000002)"]
    assert names_of([node(1), node(2)]) == ["node host1 (10.0.0.1)", "node host2 (10.0.0.2)"]


def test_only_the_head_is_asked_what_can_be_added(question, tmp_path, monkeypatch):
    config = tmp_path / "ray_bootstrap_config.yaml"
    config.write_text(
        "head_node_type: head\navailable_node_types:\n  head: {resources: {CPU: 4}, max_workers: 0}\n"
        "  gpu: {resources: {CPU: 8, GPU: 1}, max_workers: 4, node_config: {}}\n"
    )
    monkeypatch.setattr(answering, "BOOTSTRAP", config)
    told = ask(Nodes(answer, answer), question, [node(0), node(1, **{HEAD: 1.0})])
    assert [each.answer.types for each in told if each.answer] == [
        None,
        ({"name": "gpu", "resources": {"CPU": 8, "GPU": 1}, "max_workers": 4},),
    ]
    config.write_text("[")
    assert answer(replace(question, head=True)).types is None


def test_a_builds_own_mark_is_no_other_version():
    assert "+" not in "".join(versions().values())
    assert versions()["Python"].count(".") == 1
    assert len(code_digest()) == 64
