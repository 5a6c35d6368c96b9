"""What a process holds of the machine's memory."""

import sys


def release_unused_memory() -> None:
    """Give the system back what the C library keeps of freed memory (Linux with glibc; elsewhere nothing happens).

    Worth its milliseconds once much has been imported: reading and compiling source leaves megabytes behind.
    """
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
