"""`exec:COMMAND`: the first line that a program prints, `exec:pass show shop/token` or `exec:["pass", "show", …]`.

No shell reads it: the words are split as a shell would, and nothing is expanded. What the program says on its standard
error is thrown away, since it may hold the secret.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time

from synthmon.core.commands import words_of

LIMIT_S = 10.0
LONGEST_BYTES = 64 * 1024


def read(rest: str) -> str:
    """The first line of its output, the line end dropped. Blocks for up to `LIMIT_S`; a program that is not done then,
    or says too much, is killed with its children. Raises `OSError`, `ValueError`."""
    words = words_of(rest)
    program = words[0]
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ValueError(f"{program} cannot be run: {error.strerror}") from None
    try:
        output = _output(child, program)
        code = child.wait()
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    finally:
        assert child.stdout is not None
        child.stdout.close()
    if code:
        raise ValueError(f"{program} ended with {code}; run it by hand to see what it says")
    return _first_line(output, program)


def _output(child: subprocess.Popen[bytes], program: str) -> bytes:
    """All that it prints until it ends."""
    assert child.stdout is not None
    until_s, output = time.monotonic() + LIMIT_S, b""
    pipe = child.stdout.fileno()
    while True:
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
            raise ValueError(f"{program} was not done within {LIMIT_S:g}s")
        piece = os.read(pipe, LONGEST_BYTES)
        if not piece:
            break
        output += piece
        if len(output) > LONGEST_BYTES:
            raise ValueError(f"{program} printed more than {LONGEST_BYTES} bytes")
    try:
        child.wait(max(until_s - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise ValueError(f"{program} was not done within {LIMIT_S:g}s") from None
    return output


def _first_line(output: bytes, program: str) -> str:
    try:
        return output.partition(b"\n")[0].decode().removesuffix("\r")
    except UnicodeDecodeError:  # whose text would show the output
        raise ValueError(f"{program} printed no text in UTF-8") from None
