"""Everything under a prefix of a store as one JSON document, times relative to now, and back."""

import base64
import json
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

TIMES: dict[str, set[str]] = {
    "j": {"st", "fi", "up", "ex", "dl", "nb"},
    "ticks": {"last", "hold"},
}
"""Fields of hashes that are milliseconds since 1970, by the first part of the key behind the prefix."""
TIMED_SETS = {"exp", "lease", "accepted", "workers", "offers", "later"}
"""Sorted sets whose scores are."""
_LONG = 200
_WORKER = re.compile(re.escape(os.uname().nodename.encode()) + rb"(-[0-9]+-[0-9a-f]{8})")
"""A worker's name; that of its machine is nobody's business."""


def dump(url: str, prefix: str, values: Path) -> dict[str, Any]:
    """Give all keys below a prefix, with its braces, and the files of the value store."""
    with redis.Redis.from_url(url) as client:
        now_ms = _now_ms(client)
        names = sorted(client.scan_iter(match=prefix.replace("{", "[{]") + ":*", count=1000))
        keys = {_anonymous(name).removeprefix(prefix + ":"): _dumped(client, name, now_ms) for name in names}
    files = {
        str(file.relative_to(values)): _text(file.read_bytes())
        for file in sorted(values.rglob("*"))
        if file.is_file()
    }
    return {"keys": keys, "files": files}


def load(document: dict[str, Any], url: str, prefix: str, values: Path) -> None:
    """Write what `dump` gave into a store and a folder, as if it had been made now."""
    with redis.Redis.from_url(url) as client:
        now_ms = _now_ms(client)
        for name, key in document["keys"].items():
            _write(client, f"{prefix}:{name}", _shifted(name, key, now_ms))
            if key["ttl"] > 0:
                client.pexpire(f"{prefix}:{name}", key["ttl"])
    for name, data in document["files"].items():
        file = values / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(_bytes(data))


def write(document: dict[str, Any], file: Path) -> None:
    """Write a document as people can compare it."""
    file.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def _dumped(client: "redis.Redis", name: bytes, now_ms: int) -> dict[str, Any]:
    kind = client.type(name).decode()
    read: dict[str, Callable[[], Any]] = {
        "string": lambda: client.get(name),
        "hash": lambda: client.hgetall(name),
        "list": lambda: client.lrange(name, 0, -1),
        "set": lambda: sorted(client.smembers(name)),
        "zset": lambda: client.zrange(name, 0, -1, withscores=True),
        "stream": lambda: client.xrange(name),
    }
    found = {"type": kind, "ttl": client.pttl(name), "value": _told(kind, read[kind]())}
    return _shifted(name.decode().split(":", 1)[1], found, -now_ms)


def _told(kind: str, value: Any) -> Any:
    if kind == "string":
        return _text(value)
    if kind == "hash":
        return {_anonymous(name): _text(data) for name, data in value.items()}
    if kind == "zset":
        return {_anonymous(name): score for name, score in value}
    if kind == "stream":
        return [[number.decode(), _told("hash", fields)] for number, fields in value]
    return [_text(item) for item in value]


def _shifted(name: str, key: dict[str, Any], by_ms: int) -> dict[str, Any]:
    """Move the times of a key."""
    first = name.split(":")[0]
    value = key["value"]
    if key["type"] == "hash" and first in TIMES:
        times = {field: str(int(value[field]) + by_ms) for field in TIMES[first] & value.keys()}
        return key | {"value": value | times}
    if key["type"] == "zset" and first in TIMED_SETS:
        return key | {"value": {member: score + by_ms for member, score in value.items()}}
    return key


def _write(client: "redis.Redis", name: str, key: dict[str, Any]) -> None:
    value = key["value"]
    if key["type"] == "string":
        client.set(name, _bytes(value))
    elif key["type"] == "hash":
        client.hset(name, mapping={field: _bytes(data) for field, data in value.items()})
    elif key["type"] == "zset":
        client.zadd(name, value)
    elif key["type"] == "stream":
        for number, fields in value:
            client.xadd(name, {field: _bytes(data) for field, data in fields.items()}, id=number)
    elif key["type"] == "list":
        client.rpush(name, *map(_bytes, value))
    else:
        client.sadd(name, *map(_bytes, value))


def _text(data: bytes) -> Any:
    """Give bytes as a text, or as an object where they are none or are long."""
    data = _WORKER.sub(rb"host\1", data)
    if len(data) > _LONG:
        return {"zlib": base64.b64encode(zlib.compress(data, 9)).decode()}
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _anonymous(name: bytes) -> str:
    return _WORKER.sub(rb"host\1", name).decode()


def _bytes(text: Any) -> bytes:
    if isinstance(text, str):
        return text.encode()
    if "zlib" in text:
        return zlib.decompress(base64.b64decode(text["zlib"]))
    return base64.b64decode(text["base64"])


def _now_ms(client: "redis.Redis") -> int:
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)
