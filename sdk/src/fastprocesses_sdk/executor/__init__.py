"""The child process that runs process code: its protocol and its program (`python -m fastprocesses_sdk.executor`)."""
