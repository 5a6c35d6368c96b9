"""Names in the store that Python needs; the scripts build all others from the prefix (`_common.lua`)."""

from msgspec import Struct

FORMAT = "1"
"""Format of what we keep in the store; a store with another one is not touched."""

DEFAULT_QUEUE = "default"
"""How an operator names the queue of processes without one of their own."""

CALLBACK_QUEUE = "__callbacks__"
"""The list in which there is something while calls to subscribers may be due; no process can name a queue so."""


class Keys(Struct, frozen=True):
    """Keys and channels under one prefix, a hash tag: in a cluster all of them share a slot."""

    prefix: str

    @classmethod
    def of(cls, key_prefix: str) -> "Keys":
        """Give the keys under the configured prefix."""
        return cls("{" + key_prefix + "}")

    def done(self, host: str) -> str:
        """Give the channel of a host: ids of the jobs it waited for that became final, and how."""
        return f"{self.prefix}:done:{host}"

    def changes(self, job_id: str) -> str:
        """Give the channel of a listed job: something of it changed."""
        return f"{self.prefix}:ev:{job_id}"

    @property
    def stop(self) -> str:
        """Channel: ids of running jobs that were dismissed."""
        return self.prefix + ":stop"

    @property
    def catalog(self) -> str:
        """Channel: a worker announced what it offers."""
        return self.prefix + ":catalog"

    @property
    def namespace(self) -> str:
        """Dramatiq's namespace."""
        return self.prefix + ":d"

    @property
    def offers(self) -> str:
        """Sorted set: offers by when they were last seen."""
        return self.prefix + ":offers"

    def offer(self, name: str) -> str:
        """Give the key of the text of one offer."""
        return f"{self.prefix}:offer:{name}"

    def standing(self, environment: str) -> str:
        """Give the key of the text that tells by process id which plugin of an environment has offered it."""
        return f"{self.prefix}:standing:{environment}"

    @property
    def garbage(self) -> str:
        """Set: locations in the value store that nobody refers to any more."""
        return self.prefix + ":garbage"

    @property
    def bytes(self) -> str:
        """Hash: how many bytes lie in the value store, `all` and by caller, `c:` before it."""
        return self.prefix + ":bytes"

    def queue(self, name: str) -> str:
        """Give the key of the list of message ids of one queue, as Dramatiq lays it out."""
        return f"{self.namespace}:{name}"

    def job(self, job_id: str) -> str:
        """Give the key of a job's record."""
        return f"{self.prefix}:j:{job_id}"

    def staged(self, job_id: str, claim: str) -> str:
        """Give the key of the output values that wait for the end of their run."""
        return f"{self.prefix}:o:{job_id}:{claim}"

    def values(self, job_id: str) -> str:
        """Give the key of the output values of a finished job."""
        return f"{self.prefix}:o:{job_id}"

    def inputs(self, job_id: str) -> str:
        """Give the key of the inputs of a job."""
        return f"{self.prefix}:i:{job_id}"

    def log(self, job_id: str) -> str:
        """Give the key of a job's log."""
        return f"{self.prefix}:log:{job_id}"


def queue_names(environment: str, queue: str = "") -> tuple[str, str]:
    """Give the names in the store of a queue of an environment, the one that is served first, first.

    Args:
        environment: Whose queue.
        queue: As processes name it; empty or `default`: that of those that name none.
    """
    name = environment if queue in ("", DEFAULT_QUEUE) else f"{environment}.{queue}"
    return f"{name}.sync", name  # somebody waits for the jobs of the first
