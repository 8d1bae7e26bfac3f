"""Nothing that is read can run: no pickles, no ``eval``, no shell, anywhere in the source but where it says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pamfn", "tuning", "search_spaces", "benchmarks", "cluster", "docs", ".ci")

ALLOWED = {
    ("pamfn/data/array_files.py", "import pickle"): "the published features are pickled dicts of arrays",
    ("pamfn/data/array_files.py", "pickle.Unpickler"): "it finds NumPy's arrays and nothing else",
    ("pamfn/data/array_files.py", "pickle.UnpicklingError"): "what a broken file raises",
    ("pamfn/released/files.py", "import pickle"): "for the error alone",
    ("pamfn/released/files.py", "pickle.UnpicklingError"): "what torch.load raises for what weights_only forbids",
}
"""Uses that are no danger, by file and by what is used, each with its reason."""

MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "pty"}
CALLS = {"eval", "exec", "compile", "__import__"}
FUNCTIONS = {
    *("os.system", "os.popen", "os.spawnl", "os.execl", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.UnsafeLoader", "yaml.FullLoader"),
    *("yaml.Loader", "yaml.unsafe_load_all", "yaml.full_load_all"),
    *("pandas.read_pickle", "torch.jit.load", "torch.package", "torch.serialization.add_safe_globals"),
    *("mlflow.pyfunc.load_model", "mlflow.pytorch.load_model", "mlflow.sklearn.load_model", "runpy.run_path"),
    "tempfile.mktemp",
}
"""Functions that run what they read, or a shell, or leave a name to be taken by others."""


def source_files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def uses(text: str) -> Iterator[tuple[str, str]]:
    """Yields what a module uses that could run what is read: the use, and the line it is on."""
    tree, names = ast.parse(text), dict[str, str]()
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [one.name for one in node.names]
            names |= {one.asname: one.name for one in node.names if one.asname}
            names |= {name.partition(".")[0]: name.partition(".")[0] for name in modules}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [str(node.module)]
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
        yield from ((f"import {name}", f"{node.lineno}") for name in modules if name.partition(".")[0] in MODULES)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)):
            name = dotted(node, names)
            if name in FUNCTIONS or name.partition(".")[0] in MODULES - {name}:
                yield name, f"{node.lineno}"
        if isinstance(node, ast.Call):
            yield from ((use, f"{node.lineno}") for use in call_uses(node, names))


def call_uses(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    name, given = dotted(call.func, names), {word.arg: word.value for word in call.keywords}
    if isinstance(call.func, ast.Name) and call.func.id in CALLS:
        yield call.func.id
    if name == "torch.load" and not is_constant(given.get("weights_only"), value=True):
        yield "torch.load without weights_only=True"
    if name in ("numpy.load", "numpy.lib.format.read_array") and not is_constant(
        given.get("allow_pickle"), value=False
    ):
        yield f"{name} without allow_pickle=False"
    if "shell" in given and not is_constant(given["shell"], value=False):
        yield "shell=True"


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Returns the full name of what an expression names, by the module's imports; empty if it names nothing."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (inner := dotted(node.value, names)):
        return f"{inner}.{node.attr}"
    return ""


def is_constant(node: ast.expr | None, *, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_file_loads_what_could_run() -> None:
    found = [
        f"{file}:{line}: {use}"
        for file in (str(path.relative_to(ROOT)) for path in source_files())
        for use, line in uses((ROOT / file).read_text(encoding="utf-8"))
        if (file, use) not in ALLOWED
    ]
    assert not found, "\n".join(
        [*found, "load weights by safetensors or weights_only, tables by Parquet, words by JSON"]
    )


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("import pickle\npickle.load(f)", "pickle.load"),
        ("from pickle import loads as l\nl(b)", "pickle.loads"),
        ("import torch\ntorch.load(f)", "torch.load without weights_only=True"),
        ("import torch as t\nt.load(f, weights_only=False)", "torch.load without weights_only=True"),
        ("from torch import load\nload(f, weights_only=flag)", "torch.load without weights_only=True"),
        ("import numpy as np\nnp.load(f, allow_pickle=True)", "numpy.load without allow_pickle=False"),
        ("import numpy as np\nnp.load(f)", "numpy.load without allow_pickle=False"),
        ("import yaml\nyaml.load(f, Loader=yaml.Loader)", "yaml.load"),
        ("import subprocess as s\ns.run(c, shell=True)", "shell=True"),
        ("from os import system\nsystem(c)", "os.system"),
        ("eval(text)", "eval"),
        ("import joblib", "import joblib"),
        ("from sklearn.externals import x\nimport mlflow\nmlflow.pyfunc.load_model(u)", "mlflow.pyfunc.load_model"),
    ],
)
def test_each_way_is_seen(text: str, use: str) -> None:
    assert use in [found for found, _ in uses(text)]


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.load(f, weights_only=True)\nnetwork.eval()\nself.load(x)",
        "import numpy as np\nnp.load(f, allow_pickle=False)",
        "import yaml\nyaml.safe_load(f)",
        "import re\nre.compile('x')",
        "import subprocess\nsubprocess.run(['ls'], check=True)",
    ],
)
def test_what_is_safe_is_let_pass(text: str) -> None:
    assert list(uses(text)) == []


@pytest.mark.parametrize(("file", "use"), ALLOWED)
def test_what_is_allowed_is_still_there(file: str, use: str) -> None:
    assert use in [found for found, _ in uses((ROOT / file).read_text(encoding="utf-8"))]
