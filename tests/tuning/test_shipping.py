"""What travels to a cluster: the code, and nothing that Git ignores or that looks like a secret or like data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuning.shipping import ShippingError, code_digest, listing, shipped_code, staged, why_withheld
from tuning.shipping.chosen import checked, files_below


def laid(root: Path, *names: str, content: str = "x") -> Path:
    """Writes files below a folder."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


def staying(root: Path) -> dict[str, str]:
    return {file.path.relative_to(root).as_posix(): file.withheld for file in files_below(root) if file.withheld}


def test_every_module_and_space_of_ours_travels():
    names = {file.name for file in shipped_code() if not file.withheld}
    assert {"tuning/launch.py", "pamfn/model/network.py", "search_spaces/rg.yaml", "tuning/secrets.py"} - names <= {
        "tuning/secrets.py"
    }
    assert all(name.endswith((".py", ".yaml", ".typed")) for name in names)


SECRET = (
    *(".env", ".env.local", "conf/prod.env", "server.pem", "id_rsa", "deep/id_ed25519.pub", ".netrc", ".pgpass"),
    *("aws/credentials", "my-credentials.json", "client_secret.json", "password.txt", "auth_token", ".aws/config"),
    *(".ssh/config", ".kube/config", "kubeconfig.yaml", "openai_api_key", "tls.key", "store.p12"),
)


@pytest.mark.parametrize("name", SECRET)
def test_what_looks_like_a_secret_stays(tmp_path, name):
    assert staying(laid(tmp_path / "code", name, "model.py")) == {name: "a secret by its name"}


@pytest.mark.parametrize("name", ["secrets.py", "password_rules.py", "tokens.py", "environment.py", "credentials.py"])
def test_code_about_secrets_is_code(tmp_path, name):
    assert staying(laid(tmp_path / "code", name)) == {}


def test_code_in_a_folder_of_secrets_stays(tmp_path):
    assert staying(laid(tmp_path / "code", ".ssh/tool.py")) == {".ssh/tool.py": "a secret by its name"}


@pytest.mark.parametrize(
    "name",
    [
        "shards/a.parquet",
        "studies/rg/study.json",
        "mlflow.db",
        "mlruns/0/meta.yaml",
        "best.safetensors",
        "w.pt",
        "x.npz",
    ],
)
def test_data_studies_and_checkpoints_stay(tmp_path, name):
    assert staying(laid(tmp_path / "code", name, "model.py")) == {name: "data by its name"}


def test_what_git_ignores_stays_with_rules_from_the_top_and_from_below(tmp_path):
    (tmp_path / ".git").mkdir()
    laid(tmp_path, ".gitignore", content="/code/notes.md\n*.tmp\nbuild/\n")
    root = laid(tmp_path / "code", "notes.md", "deep/notes.md", "a.tmp", "deep/b.tmp", "build/c.py", "model.py")
    laid(root, "deep/.gitignore", content="!b.tmp\nmine.py\n")
    laid(root, "deep/mine.py", "mine.py")
    ignored = "ignored by Git"
    assert staying(root) == {k: ignored for k in ("notes.md", "a.tmp", "build/c.py", "deep/mine.py")}


def test_a_link_stays_wherever_it_leads(tmp_path):
    root, elsewhere = laid(tmp_path / "code", "model.py"), laid(tmp_path / "elsewhere", "key")
    (root / "linked.py").symlink_to(elsewhere / "key")
    (root / "folder").symlink_to(elsewhere)
    assert staying(root) == {"folder": "a link", "linked.py": "a link"}


def test_a_staged_folder_holds_exactly_what_is_listed(tmp_path):
    root = laid(tmp_path / "code", "a.py", "deep/b.yaml", ".env", "__pycache__/a.pyc")
    files = files_below(root)
    with staged(checked(files), {"mine.yaml": b"version: 1\n"}) as folder:
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"code/a.py", "code/deep/b.yaml", "mine.yaml"}
    assert not folder.exists()
    text = listing(files)
    assert "code/a.py" in text
    assert " stays here: code/.env (a secret by its name)" in text
    assert "__pycache__" not in text
    assert "2  bytes in 2 files; at most 20,000,000 are shipped" in text


def test_too_much_to_be_code_is_refused_with_its_largest_files(tmp_path):
    root = laid(tmp_path / "code", "small.py")
    laid(root, "huge.txt", content="x" * 5000)
    laid(root, "hidden.npy", content="x" * 9000)
    with pytest.raises(ShippingError, match=r"at most 0\.0 MB travel; the largest files: code/huge\.txt .*\.gitignore"):
        checked(files_below(root), largest=5000)
    assert [file.name for file in checked(files_below(root), largest=5001)] == ["code/huge.txt", "code/small.py"]


def test_the_digest_of_the_code_follows_its_contents(tmp_path, monkeypatch):
    laid(tmp_path / "some_package_of_a_test", "__init__.py", "a.py", content="")
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = ("some_package_of_a_test",)
    before = code_digest(packages)
    laid(tmp_path / "some_package_of_a_test", "notes.txt")
    assert code_digest(packages) == before
    laid(tmp_path / "some_package_of_a_test", "a.py", content="y")
    assert code_digest(packages) != before


def test_a_file_outside_any_working_tree_has_no_rules(tmp_path):
    root = laid(tmp_path / "code", "model.py")
    assert why_withheld(root / "model.py", root) == ""
