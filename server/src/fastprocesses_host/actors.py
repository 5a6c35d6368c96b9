"""The worker's entry point: `dramatiq fastprocesses_host.actors`, configured by the environment.

Importing this module makes the broker and the actor and nothing else; everything a worker needs starts when it boots.
"""

import dramatiq

from fastprocesses_host.engine.worker import WorkerParts, new_worker_id
from fastprocesses_host.queue import QueueBroker
from fastprocesses_host.settings import Settings, SettingsError
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys, queue_names


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
    queues = queue_names(settings.environment)
    broker = QueueBroker(store, new_worker_id(), queues, settings.slot_count)
    parts = WorkerParts(settings, store, broker)
    broker.add_middleware(parts)
    for queue in queues:
        broker.declare_queue(queue)

    @dramatiq.actor(broker=broker, actor_name="run_job", queue_name=settings.environment)
    def run_job(job_id: str) -> None:
        """Run one job to its end."""
        parts.runner.run(
            job_id,
            on_claim=lambda: broker.let_go(job_id),
            is_stopping=broker.draining.is_set,
        )

    return broker


broker = create_broker(Settings.from_env())
dramatiq.set_broker(broker)
