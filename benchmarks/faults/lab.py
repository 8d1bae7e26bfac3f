"""A laboratory: a head node and a worker, and MLflow on PostgreSQL on a third machine; studies are struck in it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from benchmarks.faults import network, services
from benchmarks.faults.cluster import RayCluster
from benchmarks.faults.network import Machine, Network
from benchmarks.faults.services import MlflowServer, Postgres
from benchmarks.faults.study import ENDS, MODES, StudyRun
from benchmarks.faults.verdict import Curves, curves

LAUNCHES = 6  # of one study at most, until it has ended by itself


def missing() -> str:
    """Returns why there can be no laboratory here; empty if there can."""
    return network.missing() or services.missing()


class Lab:
    """A cluster of two nodes with one processor each, and the servers of a lab, inside a ``with`` block.

    Attributes:
        cluster: The Ray cluster.
        head: The machine of its head node, where drivers run, too.
        worker: The machine of its other node.
        postgres: MLflow's database.
        mlflow: The MLflow server.
        storage: Folder of all studies, which all machines see.
    """

    def __init__(self) -> None:
        self._network = Network()
        self.storage = self._network.folder / "studies"
        self._calm: dict[tuple[str, int], Curves] = {}
        self._count = 0
        self.cluster: RayCluster
        self.head: Machine
        self.worker: Machine
        self.postgres: Postgres
        self.mlflow: MlflowServer

    def __enter__(self) -> Self:
        self._network.__enter__()
        try:
            self.head, self.worker = self._network.add("head"), self._network.add("worker")
            servers = self._network.add("servers")
            self.postgres = Postgres(servers)
            self.mlflow = MlflowServer(servers, self.postgres.uri, str(self._network.folder / "artefacts"))
            self.cluster = RayCluster(self.head)
            self.start()
        except BaseException:
            self._network.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.__exit__(kind, error, trace)

    def start(self) -> None:
        """Starts both nodes."""
        self.cluster.start_head(1)
        self.start_worker()

    def start_worker(self, environment: dict[str, str] | None = None) -> None:
        """Starts the worker on its machine, where nothing else runs."""
        self.worker.kill()
        self.cluster.start_worker(self.worker, 1, environment or {})

    def cut(self) -> None:
        """Cuts the worker off from the others."""
        self._network.cut(self.worker)

    def join(self) -> None:
        """Joins the worker to the others again."""
        self._network.join(self.worker)

    def study(self, mode: str, label: str, trials: int = 8, **settings: str) -> StudyRun:
        """Returns a study that has not been launched.

        Args:
            mode: ``engines``, or ``processes`` for a process a trial.
            label: How its name begins.
            trials: How many trials it has.
            settings: Further settings of the space; ``__`` stands for a dot.
        """
        self._count += 1
        more = {name.replace("__", "."): value for name, value in settings.items()}
        given = {"budget.trials": str(trials), "resources.engine": MODES[mode], **more}
        words = ["--address", self.cluster.address, "--tracking-uri", self.mlflow.uri]
        return StudyRun(self.head, f"{label}-{self._count}", words, self.storage, given)

    def calm(self, mode: str, trials: int = 8) -> Curves:
        """Returns the scores of the study that nothing happens to.

        Raises:
            RuntimeError: If even that one fails.
        """
        if (mode, trials) not in self._calm:
            study = self.study(mode, f"undisturbed-{mode}", trials)
            study.launch()
            if study.end():
                raise RuntimeError(f"the undisturbed study failed:\n{study.out}\n{study.err}")
            self._calm[mode, trials] = curves(study.events())
        return self._calm[mode, trials]

    def finish(self, study: StudyRun) -> int:
        """Returns a study's last exit status, when it has ended: it is resumed as often as it takes."""
        status = study.end(ENDS)
        while status != 0 and study.launches < LAUNCHES:
            study.launch()
            status = study.end(ENDS)
        return status

    def heal(self) -> None:
        """Brings everything back that is gone: nodes, network and servers."""
        self.join()
        if not self.postgres.up:
            self.postgres.start()
        if not self.mlflow.up:
            self.mlflow.start()
        if not self.head.processes("gcs_server"):
            self.head.kill()
            self.worker.kill()
            self.start()
        elif not self.worker.processes("raylet"):
            self.start_worker()
