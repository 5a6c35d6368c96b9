"""What a job leaves in its interpreter does not reach the next one."""

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no such signals here")

A_HANDLER_LIKE_ANY = """
import signal
from _signal import getsignal  # that of `signal` compares
from fastprocesses_sdk.executor.surroundings import Surroundings

class Handler:
    __hash__ = None
    def __eq__(self, other):
        {answer}
    def __call__(self, *_):
        pass

surroundings, handler = Surroundings(), Handler()
signal.signal(signal.SIGUSR1, handler)
surroundings.put_interpreter_back()
surroundings.put_process_back()
assert getsignal(signal.SIGUSR1) is not handler
"""


@pytest.mark.parametrize("answer", ["return True", "raise ValueError"])
def test_a_signal_handler_is_put_back_whatever_the_one_of_a_job_says_of_itself(answer: str) -> None:
    script = A_HANDLER_LIKE_ANY.format(answer=answer)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
