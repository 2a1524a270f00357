"""The arrow: cdc -> sinks -> state -> stdlib and psycopg. Imports point right, never left."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cdc", "sinks", "state")
MAY_IMPORT = {
    "state": {"state", "psycopg", "psycopg_pool"},
    "sinks": {"sinks", "state", "psycopg", "notion_client", "httpx", "tenacity", "structlog"},
    "deploy.sandbox": {"deploy", "aiohttp"},
}
PURE = (
    "state/merge.py", "state/threeway.py", "state/changes.py", "state/errors.py", "state/stamping.py",
    "state/arrays.py", "cdc/reconcile/plan.py", "cdc/dsn.py", "cdc/gathering.py", "cdc/watch/comparing.py",
    "cdc/watch/verdicts.py", "cdc/operate/findings.py", "cdc/operate/doctor_needs.py", "cdc/watch/differing.py",
    "cdc/reconcile/merging.py", "cdc/reconcile/strategy.py", "cdc/reconcile/crossing.py",
    "cdc/replication/frames.py", "cdc/replication/pressure.py", "cdc/replication/wal2json.py",
    "cdc/replication/pgmessages.py", "cdc/replication/pgoutput.py", "cdc/replication/plugins.py",
    "sinks/notion/failures.py",
    "sinks/notion/properties.py", "sinks/notion/ids.py", "sinks/notion/options.py", "sinks/notion/pages.py",
    "sinks/notion/completion.py", "sinks/notion/drift.py", *sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "sinks" / "mapping").glob("*.py")
    ),
)
IO_MODULES = {
    "asyncio", "socket", "psycopg", "psycopg_pool", "aiohttp", "httpx", "structlog", "logging", "time", "random",
    "os", "pathlib", "subprocess",
}


def imports(path: Path) -> Iterator[str]:
    """Return the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def stdlib(module: str) -> bool:
    import sys

    return module.split(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_right(package: str) -> None:
    files = sorted((ROOT / package.replace(".", "/")).rglob("*.py"))

    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imports(path)
        if not stdlib(module) and module.split(".")[0] not in MAY_IMPORT[package]
    ]

    assert files
    assert wrong == []


def test_whatever_is_imported_is_declared_and_not_somebody_elses_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]}
    made_by = packages_distributions()

    used = {
        module.split(".")[0]
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for module in imports(path)
        if not stdlib(module)
    } - set(PACKAGES)

    assert used
    names = {name: {each.replace("_", "-").lower() for each in made_by[name]} for name in sorted(used)}
    assert [name for name, distributions in names.items() if not distributions & declared] == []


def test_the_product_never_imports_from_its_deployment_or_tests() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for module in imports(path)
        if module.split(".")[0] in {"deploy", "tests"}
    ]

    assert wrong == []


@pytest.mark.parametrize("name", PURE)
def test_the_rules_stand_apart_from_io(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    used = {module.split(".")[0] for module in imports(ROOT / name)} & IO_MODULES
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]

    assert used == set()
    assert waits == []


def test_nothing_is_awaited_where_it_could_be_cancelled_into_a_group() -> None:
    # what is raised in an `except*` comes out in an exception group, a cancellation too: nobody takes it for one then
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.TryStar)
        if any(isinstance(inner, ast.Await) for handler in node.handlers for inner in ast.walk(handler))
    ]

    assert wrong == []


def test_the_stand_in_knows_nothing_of_the_product() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / "deploy" / "sandbox").rglob("*.py"))
        for module in imports(path)
        if module.split(".")[0] in PACKAGES or (module.startswith("deploy") and not module.startswith("deploy.sandbox"))
    ]

    assert wrong == []
