"""Job ids sort by the store's time, never go back, and nothing else passes for one."""

import uuid

from fastprocesses_host.store.ids import JobIds, created_ms, is_job_id
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.integers(min_value=0, max_value=2**47)


@given(TIMES)
def test_an_id_tells_when_it_was_made(now_ms: int) -> None:
    job_id = JobIds().make(now_ms)
    assert created_ms(job_id) == max(now_ms, 0)
    assert is_job_id(job_id)
    assert uuid.UUID(job_id).version == 7
    assert uuid.UUID(job_id).variant == uuid.RFC_4122


@given(st.lists(TIMES, min_size=2, max_size=50))
def test_ids_of_one_maker_never_go_back(times_ms: list[int]) -> None:
    ids = JobIds()
    made = [ids.make(now_ms) for now_ms in times_ms]
    assert made == sorted(set(made))


def test_thousands_in_one_millisecond_stay_in_order() -> None:
    ids = JobIds()
    made = [ids.make(1_000_000) for _ in range(10_000)]
    assert made == sorted(set(made))


@given(st.text())
def test_other_text_is_no_id(text: str) -> None:
    assert not is_job_id(text)


def test_other_uuids_are_no_ids() -> None:
    job_id = JobIds().make(1_000_000)
    for text in (str(uuid.uuid4()), job_id.upper(), "{" + job_id + "}", job_id.replace("-", "")):
        assert not is_job_id(text) or text == job_id
