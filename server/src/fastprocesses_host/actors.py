"""The worker's entry point: `dramatiq fastprocesses_host.actors`, configured by the environment.

Importing this module makes the broker and its actors, and begins to look for plugins; everything else a worker needs
starts when it boots.
"""

from typing import TYPE_CHECKING

from fastprocesses_host.engine.discovering import Discovering
from fastprocesses_host.importing import quick_imports
from fastprocesses_host.settings import Settings, SettingsError

if TYPE_CHECKING:
    from fastprocesses_host.queue import QueueBroker


def create_broker(settings: Settings) -> "QueueBroker":
    """Make the broker of a worker process with all its parts.

    Raises:
        SettingsError: there is no store to work for.
    """
    if not settings.redis_url:
        raise SettingsError(
            "A worker needs a store: set FASTPROCESSES_REDIS_URL, for instance redis://localhost."
        )
    discovering = Discovering(settings)
    with quick_imports():  # of what takes long, while plugins are looked for
        import dramatiq

        from fastprocesses_host.callback_queue import ACTOR, Calls
        from fastprocesses_host.engine.worker import WorkerParts, new_worker_id
        from fastprocesses_host.queue import QueueBroker
        from fastprocesses_host.retirement import Retirement
        from fastprocesses_host.store.client import Store
        from fastprocesses_host.store.keys import CALLBACK_QUEUE, Keys

    store = Store(settings.redis_url, Keys.of(settings.key_prefix))
    worker_id = new_worker_id()
    calls = Calls(worker_id, settings.callback_slots, settings.callback_timeout_seconds)
    broker = QueueBroker(store, worker_id, settings.slot_count, calls)
    parts = WorkerParts(settings, store, broker, discovering)
    broker.add_middleware(parts)
    broker.add_middleware(
        Retirement(
            broker.draining.set,
            lambda: not broker.taken and not parts.runner.runs.all() and broker.calls.wait_until_none(0),
        )
    )

    @dramatiq.actor(broker=broker, actor_name="run_job", queue_name=settings.environment)
    def run_job(job_id: str) -> None:
        """Run a job to its end, and then whatever waits while there is something."""
        claimed = broker.taken.get(job_id)
        if claimed is not None:  # else somebody else wrote the message, of a job that was never taken
            parts.runner.run(claimed)

    @dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=CALLBACK_QUEUE)
    def deliver_callbacks(claim: str) -> None:
        """Have a subscriber called, by a thread that may wait for it."""
        parts.subscribers.call(claim)

    dramatiq.set_broker(broker)
    return broker


broker = create_broker(Settings.from_env())
