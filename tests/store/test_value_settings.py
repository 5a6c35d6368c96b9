"""Where values are said to lie: settings that are read, refused with what to change, and kept secret."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.settings import ObjectStoreOptions, Settings, SettingsError
from fastprocesses_host.store import value_stores
from fastprocesses_host.store.object_values import ObjectValues

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "server" / "docs" / "large-data.md"
SECRET = "pepper-and-salt"


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    named = {f"FASTPROCESSES_{name.upper()}": value for name, value in environ.items()}
    return Settings.from_env({"FASTPROCESSES_CONFIG": str(file), **named})


def test_options_come_from_the_table_and_from_the_environment_above_it(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        'value_store_url = "s3://values/a"\n[value_store]\nregion = "x"\nendpoint = "http://127.0.0.1:1"\n'
        "virtual_hosted_style_request = false\n",
        value_store__region="y",
        value_store__access_key_id="operator",
        value_store__secret_access_key=SECRET,
    )

    assert settings.value_store.options == {
        "region": "y",
        "endpoint": "http://127.0.0.1:1",
        "virtual_hosted_style_request": "false",
        "access_key_id": "operator",
        "secret_access_key": SECRET,
    }
    assert Settings.from_env(settings.to_env()) == settings
    assert SECRET not in f"{settings} {settings!r} {settings.value_store}"
    assert isinstance(value_stores.open_values(settings, patience_seconds=0.0), ObjectValues)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"value_store_url": "ftp://values"}, "value_store_url must be file:///folder, s3://"),
        ({"value_store_url": "s3://"}, "value_store_url must be"),
        ({"value_store_url": "s3://values/../x?y"}, "value_store_url must be"),
        ({"value_store_url": "file:relative"}, "value_store_url must be"),
        ({"value_store": ObjectStoreOptions({"region": "x"})}, "does not name one"),
        (
            {"value_store_url": "file:///srv", "value_store": ObjectStoreOptions({"region": "x"})},
            "does not name one",
        ),
        ({"signed_url_seconds": 700_000.0}, "signed_url_seconds must be at least 1 and at most 604800"),
        ({"value_store_timeout_seconds": 0.0}, "value_store_timeout_seconds must be at least"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(reason)):
        Settings(**given)


@pytest.mark.parametrize("table", ["value_store = 1", "[value_store.region]\nx = 1", "value_store = [1]"])
def test_a_table_of_options_is_one(tmp_path: Path, table: str) -> None:
    with pytest.raises(SettingsError, match=r"write \[value_store\]"):
        read(tmp_path, table)


@pytest.mark.parametrize(
    "option", [{"no_such_option": "x"}, {"root_certificate": "/nowhere.pem"}], ids=["unknown", "no file"]
)
def test_options_that_cannot_be_used_are_told(option: dict[str, str]) -> None:
    settings = Settings(value_store_url="s3://values", value_store=ObjectStoreOptions(option))
    with pytest.raises(SettingsError, match=r"The value store cannot be used: .*no.?\w*") as told:
        value_stores.open_values(settings, patience_seconds=0.0)
    assert "\n" not in str(told.value)


def test_what_has_to_be_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastprocesses_host.settings.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'fastprocesses-host\[object-store\]'"):
        Settings(value_store_url="gs://values")


def test_the_samples_of_the_manual_can_be_used(tmp_path: Path) -> None:
    samples = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(samples) == 3
    for sample in samples:
        assert read(tmp_path, sample) != Settings()
    options = tomllib.loads(samples[0])["value_store"]
    assert options.pop("root_certificate")  # a file that is not here
    url = tomllib.loads(samples[0])["value_store_url"]
    ObjectValues(url, options, tmp_path, timeout_seconds=1.0)


def test_what_the_manual_says_of_defaults_is_so() -> None:
    text, settings = PAGE.read_text("utf-8"), Settings()
    for name in ("value_store_timeout_seconds", "value_store_retry_seconds"):
        assert f"`{name}` ({getattr(settings, name):g})" in text
    assert settings.max_value_bytes == 256 * 2**20
    assert settings.max_body_bytes == 64 * 2**20
