# task: retries a call a limited number of times and waits longer each time
# note: only connection errors are retried, because a wrong argument stays wrong
import time
from collections.abc import Callable


def with_retries(call: Callable[[], str], attempts: int = 3) -> str:
    """The result of `call`; the last error when every attempt fails."""
    for attempt in range(attempts):
        try:
            return call()
        except ConnectionError:
            if attempt == attempts - 1:
                raise
            time.sleep(2**attempt)
    raise ValueError("attempts must be at least 1")
