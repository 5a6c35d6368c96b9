"""Where the inputs of a job lie until it ends: small ones in its record, others beside it; afterwards nowhere."""

import pytest
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.records import PinnedInput, StoredInput, locations_field

from tests.store.steps import MANY, all_keys, dismiss, finish, new_job, release, take

SECRET = b'"between-us"'
SMALL = {"message": StoredInput(SECRET)}
LARGE = {"message": StoredInput(SECRET), "rest": StoredInput(b'"' + b"x" * 400 + b'"', "text/plain")}
LIMIT = {
    "message": StoredInput(b'"' + b"x" * 244)
}  # shorter than what may be in the record, but not with its name
ELSEWHERE = {"message": PinnedInput(SECRET, location="file:" + "x" * 300, pinned={"file:y": 3})}


def accepted(store: Store, inputs: dict[str, StoredInput], **options: object) -> str:
    job = new_job(store, **options)
    assert store.run(operations.accept(job, inputs, limits=MANY)).outcome == "ok"
    return job.id


def whereabouts(store: Store, text: bytes) -> set[str]:
    """Give in which kinds of keys a text is."""
    found = set()
    for name, kind in all_keys(store).items():
        if kind == b"hash":
            values = store.redis.hgetall(store.keys.prefix + name).values()
            if any(text in value for value in values):
                found.add(name.split(":")[1])
    return found


@pytest.mark.parametrize(("inputs", "place"), [(SMALL, "j"), (LARGE, "i"), (LIMIT, "i"), (ELSEWHERE, "i")])
def test_a_run_gets_its_inputs_again_and_again_until_it_ends(
    store: Store, inputs: dict[str, StoredInput], place: str
) -> None:
    text = inputs["message"].data
    job_id = accepted(store, inputs, retryable=True, max_attempts=3)
    assert whereabouts(store, text) == {place}
    for claim in ("c1", "c2"):
        claimed = take(store, claim)
        assert claimed is not None
        assert {name: value.data for name, value in claimed.inputs.items()} == {
            name: value.data for name, value in inputs.items()
        }
        assert [value.location for value in claimed.inputs.values()] == [
            value.location for value in inputs.values()
        ]
        assert release(store, job_id, claim) == "ok"
    take(store, "c3")
    assert whereabouts(store, text) == {place}
    assert finish(store, job_id, "c3") == "ok"
    assert whereabouts(store, text) == set()


@pytest.mark.parametrize("inputs", [SMALL, LARGE])
@pytest.mark.parametrize("runs", [True, False])
def test_a_dismissed_job_has_no_inputs(store: Store, inputs: dict[str, StoredInput], runs: bool) -> None:
    job_id = accepted(store, inputs)
    if runs:
        take(store)
    dismiss(store, job_id, "token")
    assert whereabouts(store, SECRET) == set()


def test_a_job_whose_results_lie_elsewhere_has_no_inputs(store: Store) -> None:
    job_id = accepted(store, SMALL)
    take(store)
    fields = {"ol": locations_field({"file:///a": 3})}
    store.run(operations.finish(job_id, "c1", "successful", fields=fields, max_log_lines=1))
    assert whereabouts(store, SECRET) == set()


@pytest.mark.parametrize("inputs", [SMALL, LARGE])
def test_inputs_that_are_to_be_kept_are_beside_the_record(
    store: Store, inputs: dict[str, StoredInput]
) -> None:
    job_id = accepted(store, inputs, keep_inputs=True)
    take(store)
    finish(store, job_id)
    assert whereabouts(store, SECRET) == {"i"}


def test_a_record_with_inputs_is_kept_close_together(store: Store) -> None:
    option = "hash-max-ziplist-value"
    before = store.redis.config_get(option)
    store.redis.config_set(option, 256)  # as the private store has it
    job_id = accepted(store, {"message": StoredInput(b'"' + b"x" * 234 + b'"')})
    store.redis.config_set(option, before.popitem()[1])
    assert whereabouts(store, b"xxx") == {"j"}
    assert store.redis.object("ENCODING", store.keys.job(job_id)) in {
        b"listpack",
        b"ziplist",
    }  # the name in Redis 6.2
