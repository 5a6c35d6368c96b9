"""The worker's entry point: `dramatiq fastprocesses_host.actors`, configured by the environment.

Importing this module makes the broker and the actor and nothing else; everything a worker needs starts when it boots.
"""

import dramatiq

from fastprocesses_host.engine.worker import WorkerParts, new_worker_id
from fastprocesses_host.queue import QueueBroker
from fastprocesses_host.retirement import Retirement
from fastprocesses_host.settings import Settings, SettingsError
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys


def create_broker(settings: Settings) -> QueueBroker:
    """Make the broker of a worker process with all its parts.

    Raises:
        SettingsError: there is no store to work for.
    """
    if not settings.redis_url:
        raise SettingsError(
            "A worker needs a store: set FASTPROCESSES_REDIS_URL, for instance redis://localhost."
        )
    store = Store(settings.redis_url, Keys.of(settings.key_prefix))
    broker = QueueBroker(store, new_worker_id(), settings.slot_count)
    parts = WorkerParts(settings, store, broker)
    broker.add_middleware(parts)
    broker.add_middleware(
        Retirement(broker.draining.set, lambda: not broker.taken and not parts.runner.runs.all())
    )

    @dramatiq.actor(broker=broker, actor_name="run_job", queue_name=settings.environment)
    def run_job(job_id: str) -> None:
        """Run a job to its end, and then whatever waits while there is something."""
        claimed = broker.taken.get(job_id)
        if claimed is not None:  # else somebody else wrote the message, of a job that was never taken
            parts.runner.run(claimed)

    return broker


broker = create_broker(Settings.from_env())
dramatiq.set_broker(broker)
