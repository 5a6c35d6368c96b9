"""What a run may leave in the store, and what it may not."""

import redis
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.keys import Keys


def strays(settings: Settings) -> list[str]:
    """Give what should not be there when every job has ended.

    Messages, fetched ones, leases, waiting jobs, staged values, inputs nobody asked to keep, values without a job.
    """
    with redis.Redis.from_url(settings.redis_url) as client:
        prefix = Keys.of(settings.key_prefix).prefix
        names = [
            name.decode() for name in client.scan_iter(match=prefix.replace("{", "[{]") + "*", count=1000)
        ]
        jobs = {name.rsplit(":", 1)[1] for name in names if name.startswith(prefix + ":j:")}
        stray = [name for name in names if name.startswith((prefix + ":d:", prefix + ":i:"))]
        stray += [name for name in names if name in (prefix + ":lease", prefix + ":accepted")]
        outputs = [name for name in names if name.startswith((prefix + ":o:", prefix + ":log:"))]
        stray += [name for name in outputs if name.split(":")[-1] not in jobs]
        expiring = {member.decode() for member in client.zrange(prefix + ":exp", 0, -1)}
        stray += [f"no expiry: {job_id}" for job_id in jobs - expiring]
        return stray
