"""What a process can say to its caller: members, subclasses, and whole across threads, processes and groups."""

import concurrent.futures
import copy
import http
import multiprocessing
import pickle

import fastprocesses_sdk as fp
import pytest
from fastprocesses_sdk.errors import declared_error


class NotFound(fp.ProcessError):
    """Nothing is there."""

    title = "Nothing there"
    status = 404


class Detailed(fp.ProcessError):
    """Takes arguments of its own."""

    def __init__(self, what: str, size: int) -> None:
        super().__init__(f"{what} has {size} parts.", status=413, input=what)
        self.size = size


class Careless(fp.ProcessError):
    """Does not call its base class."""

    def __init__(self, number: int) -> None:
        self.number = number


class WrongClass(fp.ProcessError):
    """Has a status that is none of an error."""

    status = 200


def members(error: fp.ProcessError) -> tuple[object, ...]:
    return type(error), error.detail, error.title, error.status, error.type, error.input, str(error)


def test_what_is_left_out_has_its_default():
    error = fp.ProcessError("Too far.")

    assert members(error) == (fp.ProcessError, "Too far.", "", 400, "", "", "Too far.")


def test_a_subclass_sets_members_once_for_all_and_each_may_differ():
    assert members(NotFound("No tile."))[:4] == (NotFound, "No tile.", "Nothing there", 404)
    assert NotFound("No tile.", status=410, title="Gone").status == 410
    assert NotFound.status == 404
    assert members(Detailed("grid", 9))[:4] == (Detailed, "grid has 9 parts.", "", 413)


@pytest.mark.parametrize("status", [200, 99, 399, 600, 0, -400, "x", "404", 404.0, 404.5, True, [404]])
def test_a_status_that_is_none_of_an_error_is_refused_where_it_is_raised(status):
    with pytest.raises(ValueError, match="a whole number from 400 to 599, not") as caught:
        fp.ProcessError("Odd.", status=status)

    assert repr(status) in str(caught.value)


def test_a_class_with_a_wrong_status_is_refused_too():
    with pytest.raises(ValueError, match="not 200"):
        WrongClass("Odd.")


@pytest.mark.parametrize("status", [400, 499, 500, 599, http.HTTPStatus.NOT_FOUND])
def test_every_status_of_an_error_is_taken(status):
    assert fp.ProcessError("Odd.", status=status).status == status


WHOLE = fp.ProcessError("d", title="t", status=422, type="https://example.org/", input="i")


@pytest.mark.parametrize("error", [WHOLE, NotFound("No tile."), Detailed("grid", 9), Careless(3)])
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_a_copy_is_whole(error, again):
    copied = again(error)

    assert members(copied) == members(error)
    assert vars(copied) == vars(error)


def fail() -> None:
    raise Detailed("grid", 9)


def test_it_crosses_from_threads_and_processes():
    context = multiprocessing.get_context("spawn")
    for pool in (
        concurrent.futures.ThreadPoolExecutor(1),
        concurrent.futures.ProcessPoolExecutor(1, mp_context=context),
    ):
        with pool, pytest.raises(fp.ProcessError) as caught:
            pool.submit(pickle.loads, pickle.dumps(_Failing())).result()
        assert members(caught.value)[1:] == members(WHOLE)[1:]


class _Failing:
    """Raises where it is unpickled."""

    def __reduce__(self):
        return _raise, (WHOLE,)


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WHOLE, "d"),
        (Careless(3), ""),
        (RuntimeError("bug"), None),
        (ExceptionGroup("g", [WHOLE]), "d"),
        (ExceptionGroup("g", [ExceptionGroup("h", [WHOLE]), NotFound("later")]), "d"),
        (ExceptionGroup("g", [WHOLE, RuntimeError("bug")]), None),
        (BaseExceptionGroup("g", [WHOLE, KeyboardInterrupt()]), None),
        (fp.JobCancelled(), None),
    ],
)
def test_a_group_speaks_to_the_caller_where_all_of_it_does(error, told):
    found = declared_error(error)

    assert (found.detail if found is not None else None) == told


def test_a_chain_that_ends_in_a_bug_is_one():
    try:
        try:
            fail()
        except fp.ProcessError as error:
            raise RuntimeError("bug") from error
    except RuntimeError as error:
        found = declared_error(error)

    assert found is None
