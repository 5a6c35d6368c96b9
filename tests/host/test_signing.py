"""Signatures are those of Standard Webhooks: its published example, several secrets, what is no secret."""

import base64
import re
import time
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.settings import Settings, SettingsError
from fastprocesses_host.signing import read_secrets, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CALL = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330)
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_signed_as_published() -> None:
    secrets = read_secrets(SECRET)
    assert signature(secrets, *CALL, [b'{"test": 2432232314}']) == SIGNED
    assert signature(secrets, *CALL, [b'{"test"', b": 2432", b"232314}"]) == SIGNED
    assert signature(secrets, *CALL, [b'{"test": 2432232315}']) != SIGNED


def test_while_a_secret_is_changed_both_sign() -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    signed = signature(read_secrets(f"{other}, {SECRET}"), *CALL, [b'{"test": 2432232314}'])
    assert len(signed.split(" ")) == 2
    assert signed.split(" ")[1] == SIGNED


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        SECRET.removeprefix("whsec_"),
        "whsec_c2hvcnQ=",
        "whsec_%%%",
        SECRET + ",x",
        "whsec_" + "A" * 200,
    ],
)
def test_what_is_no_secret_is_refused_and_not_told(text: str) -> None:
    with pytest.raises(SettingsError, match="callback_secret must be whsec_") as raised:
        Settings(callback_secret=text)
    assert text not in str(raised.value)


def test_what_the_page_shows_tells_our_calls_from_others() -> None:
    page = (Path(__file__).parents[2] / "server/docs/callbacks.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(compile(code, "callbacks.md", "exec"), shown)
    now, other = int(time.time()), "whsec_" + base64.b64encode(bytes(24)).decode()

    def headers(timestamp: int) -> dict[str, str]:
        signed = signature(read_secrets(f"{other},{SECRET}"), "a-1", timestamp, [b"{}"])
        return {"webhook-id": "a-1", "webhook-timestamp": str(timestamp), "webhook-signature": signed}

    assert shown["is_genuine"](SECRET, headers(now), b"{}")
    assert not shown["is_genuine"](SECRET, headers(now), b"[]")
    assert not shown["is_genuine"](SECRET, headers(now - 3600), b"{}")
    assert not shown["is_genuine"]("whsec_" + base64.b64encode(b"x" * 24).decode(), headers(now), b"{}")
