"""What can be held of Dockerfile, compose file and manifest where no engine runs: what they name, what they allow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from cdc.config import KNOWN, load

ROOT: Final = Path(__file__).resolve().parents[3]
DEPLOY: Final = ROOT / "deploy"
DOCKERFILE: Final = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: Final = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
MANIFEST: Final = (DEPLOY / "kubernetes" / "mapable-cdc.yaml").read_text(encoding="utf-8")
YAML: Final = sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")])
IGNORED: Final = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
PYTHONS_OWN: Final = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
DECIDED_BY_COMPOSE: Final = {"DATABASE_URL", "DATABASE_DIRECT_URL", "HTTP_HOST", "HTTP_PORT"}
ENOUGH: Final = {"SYNC_DB_PASSWORD": "secret1", "NOTION_API_KEY": "ntn_1"}


def instructions(name: str) -> list[str]:
    """Return the arguments of every instruction of this name, continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.lstrip().startswith(name + " ")]


def service(name: str) -> str:
    """Return what the compose file says of one service."""
    found = re.search(rf"^  {name}:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert found is not None
    return found[1]


def composed(dotenv: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that compose makes of a `.env` for the service."""
    lines = re.findall(r"^      ([A-Z_]+): (.*)$", service("sync"), re.MULTILINE)
    return {
        name: re.sub(r"\$\{(\w+):[-?]([^}]*)\}", lambda found: dotenv.get(found[1]) or found[2], value).strip('"')
        for name, value in lines
    }


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_has_no_tab_no_uneven_indent_and_no_key_twice(path: Path) -> None:
    open_keys: dict[int, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip(" "))
        assert "\t" not in line
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line == "---":
            open_keys = {}
            continue
        key = re.match(r" *(- )?([\w./-]+):( |$)", line)
        if key is None:
            continue
        assert indent % 2 == 0, line
        at = indent + (2 if key[1] else 0)
        open_keys = {depth: keys for depth, keys in open_keys.items() if depth <= (indent if key[1] else at)}
        if key[1]:
            open_keys.pop(at, None)
        assert key[2] not in open_keys.setdefault(at, set()), line
        open_keys[at].add(key[2])


def test_images_are_of_a_named_version() -> None:
    stages = {"build", "service"}
    bases = [words.split()[0] for words in instructions("FROM") if words.split()[0] not in stages]
    images = re.findall(r"^ +image: (\S+)$", COMPOSE + MANIFEST, re.MULTILINE)

    assert all(re.search(r":v?\d", image) for image in [*bases, *images])


def test_the_process_is_not_root_and_gets_the_signals_itself() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    for command in [*instructions("ENTRYPOINT"), *instructions("CMD")]:
        assert isinstance(json.loads(command.removeprefix("CMD ")), list)
    assert json.loads(instructions("ENTRYPOINT")[0])[0] == "mapable-cdc"


def test_the_image_says_whether_it_is_well() -> None:
    check = instructions("HEALTHCHECK")[0]

    assert "/healthz" in check
    assert json.loads(check.partition("CMD ")[2])[0] == "python"


def test_nothing_secret_gets_into_an_image() -> None:
    assert IGNORED[1] == "*"
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    copied = {
        words for line in instructions("COPY") if not line.startswith("--from") for words in line.split()[:-1]
    }

    assert copied <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert not {name for name in allowed if name.startswith((".", "tests"))}


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = re.findall(r"- (\./[^:]+):", COMPOSE)

    assert mounted
    assert all((DEPLOY / name).exists() for name in mounted)


def test_only_settings_that_there_are_get_set() -> None:
    image = set(re.findall(r"(\b[A-Z_]+)=", " ".join(instructions("ENV")))) - PYTHONS_OWN
    compose = set(re.findall(r"^      ([A-Z_]+):", service("sync"), re.MULTILINE))
    manifest = set(re.findall(r"^(?:  |            - name: )([A-Z_]+)(?::|$)", MANIFEST, re.MULTILINE))

    assert image
    assert {"DATABASE_URL", "NOTION_API_KEY"} <= compose
    assert {"DATABASE_URL", "NOTION_API_KEY", "HTTP_HOST"} <= manifest
    assert image | compose | manifest <= KNOWN


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_setting_in_dotenv_reaches_the_composed_service(name: str) -> None:
    before, after = composed(ENOUGH), composed({**ENOUGH, name: "as written"})

    assert after[name] == (before[name] if name in DECIDED_BY_COMPOSE else "as written")


def test_what_dotenv_leaves_out_is_unset_in_the_composed_service() -> None:
    made = composed(ENOUGH)

    told = {name: made[name] for name in (*DECIDED_BY_COMPOSE, "NOTION_API_KEY", "LOG_FORMAT")}
    assert load(made, env_file=None) == load(told, env_file=None)


def test_secrets_come_from_elsewhere() -> None:
    for name in ("DATABASE_URL", "NOTION_API_KEY", "ADMIN_TOKEN"):
        assert re.search(rf"- name: {name}\n +valueFrom:\n +secretKeyRef:", MANIFEST)
    passwords = re.findall(r"^ +(?:\w*PASSWORD|\w*TOKEN|NOTION_API_KEY): (.*)$", COMPOSE, re.MULTILINE)
    assert passwords
    assert all(value.startswith("${") for value in passwords)


@pytest.mark.parametrize("rule", ["read_only: true", "- ALL", "no-new-privileges:true", "stop_grace_period: 15s"])
def test_the_composed_service_may_do_little(rule: str) -> None:
    assert rule in service("sync")


@pytest.mark.parametrize(
    "rule",
    [
        "replicas: 2", "runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false",
        'drop: ["ALL"]', "path: /healthz", "path: /readyz", "minAvailable: 1", "terminationGracePeriodSeconds: 20",
        "limits:", "requests:",
    ],
)
def test_the_deployed_one_may_do_little_and_is_two(rule: str) -> None:
    assert rule in MANIFEST
