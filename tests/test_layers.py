"""The house: who may import whom, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "server" / "src" / "fastprocesses_host"
SDK = ROOT / "sdk" / "src" / "fastprocesses_sdk"

LAYERS = [
    {"importing", "outbound", "signing", "slots"},
    {"settings", "ogc", "exits", "lifeline", "gathering", "waiting", "watching", "guarded"},
    {"logs", "readiness", "schemas", "installed_servers"},
    {"store"},
    {"catalog", "encodings"},
    {"inputs", "fetched", "fitting", "subscribers"},
    {"entity_tags", "fingerprint", "sharing"},
    {"queue", "callback_queue", "retirement"},
    {"engine"},
    {"uploads"},
    {"uploaded"},
    {"host", "actors"},
    {"web"},
    {"app"},
    {"draining", "part"},
    {"plain_http"},
    {"hypercorn_server"},
    {"asgi_servers", "uvicorn_protocol", "serving", "listening", "private_store", "child", "supervisor"},
    {"embedded"},
    {"cli"},
]
"""Lowest first; a module imports from its own layer and from those before it."""

HOMES = {
    "starlette": {"web", "app", "asgi_servers", "hypercorn_server", "plain_http"},
    "dramatiq": {"queue", "callback_queue", "retirement", "actors", "engine", "child"},
    "redis": {"store", "queue", "embedded", "supervisor"},
    "obstore": {"store"},
    "jsonschema": {"schemas"},
    "jsonschema_rs": {"schemas"},
    "typer": {"cli"},
    "httpx2": {"cli", "guarded"},
    "httpcore2": {"guarded"},
    "copier": {"cli"},
    "rich": {"cli"},
    "hypercorn": {"asgi_servers", "hypercorn_server", "plain_http"},
    "uvicorn": {"asgi_servers", "uvicorn_protocol"},
}
"""Third-party packages that only certain modules may know."""


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part_of(file: Path) -> str:
    return file.relative_to(SERVER).parts[0].removesuffix(".py")


def server_files() -> list[Path]:
    return sorted(
        file for file in SERVER.rglob("*.py") if file.parent != SERVER or file.name != "__init__.py"
    )


def test_every_part_has_a_layer() -> None:
    assert {part_of(file) for file in server_files()} == set().union(*LAYERS)


@pytest.mark.parametrize("file", server_files(), ids=lambda file: str(file.relative_to(SERVER)))
def test_imports_point_downwards(file: Path) -> None:
    level = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    own = level[part_of(file)]
    for name in imported(file):
        if name.startswith("fastprocesses_host."):
            other = name.split(".")[1]
            assert other == "__version__" or level[other] <= own, f"{file.name} imports {name}"


@pytest.mark.parametrize("file", server_files(), ids=lambda file: str(file.relative_to(SERVER)))
def test_third_parties_stay_in_their_homes(file: Path) -> None:
    for name in imported(file):
        home = HOMES.get(name.split(".")[0])
        assert home is None or part_of(file) in home, f"{file.name} imports {name}"


def test_plugins_know_the_sdk_only_and_the_sdk_knows_nobody() -> None:
    for file in (ROOT / "plugins").glob("*/src/**/*.py"):
        assert not any(name.startswith("fastprocesses_host") for name in imported(file)), file
    for file in SDK.rglob("*.py"):
        assert not any(name.startswith("fastprocesses_host") for name in imported(file)), file


def test_the_server_names_no_plugin() -> None:
    for file in [*server_files(), *SDK.rglob("*.py")]:
        text = file.read_text()
        assert "fastprocesses_echo" not in text, file
        assert "fastprocesses_vector" not in text, file
