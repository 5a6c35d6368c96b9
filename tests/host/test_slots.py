"""One count of free slots for all queues: never too many, the urgent queue first."""

import threading

from fastprocesses_host.slots import Slots

from tests.support import wait_until


def test_no_more_than_there_are() -> None:
    slots = Slots(2)
    assert [slots.acquire(0, 0.01) for _ in range(3)] == [True, True, False]
    slots.release()
    assert slots.acquire(1, 0.01)


def test_the_lowest_rank_is_served_first() -> None:
    slots = Slots(1)
    assert slots.acquire(1, 0.01)
    order: list[int] = []

    def take(rank: int) -> None:
        assert slots.acquire(rank, 10)
        order.append(rank)
        slots.release()

    threads = [threading.Thread(target=take, args=(rank,)) for rank in (1, 1, 0)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        wait_until(lambda number=number: len(slots._waiting) == number)
    slots.release()
    for thread in threads:
        thread.join(10)
    assert order[0] == 0
    assert sorted(order) == [0, 1, 1]
