"""Where secrets lie: commands, and values that change while a daemon runs."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from synthmon.core.secrets import MASK
from synthmon.runtime.doors import Doors
from synthmon.runtime.keyring import Keyring
from synthmon.runtime.places import command
from synthmon.runtime.references import resolve

FIRST, SECOND = "first-value-of-it", "second-value-of-it"


@pytest.fixture
async def keyring() -> AsyncIterator[Keyring]:
    async with Doors({}) as doors:
        yield Keyring(doors)


def script(folder: Path, text: str) -> str:
    file = folder / "say.py"
    file.write_text(text)
    return f"exec:{sys.executable} {file}"


def test_the_first_line_of_a_command_is_the_secret(tmp_path: Path) -> None:
    said = script(tmp_path, f"import sys; print('{FIRST}'); print('user: clerk'); print('noise', file=sys.stderr)")

    assert resolve({"it": said}) == ({"it": FIRST}, {})


def test_a_command_is_a_list_of_words_that_no_shell_reads(tmp_path: Path) -> None:
    reference = f'exec:["{sys.executable}", "-c", "import sys; print(sys.argv[1])", "$HOME; touch x {FIRST}"]'

    assert resolve({"it": reference}) == ({"it": f"$HOME; touch x {FIRST}"}, {})


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (f"import sys; print('{FIRST}'); print('{FIRST}', file=sys.stderr); sys.exit(3)", "ended with 3"),
        (f"print('{FIRST}' * 10000)", "printed more than 65536 bytes"),
        (f"import time; print('{FIRST}', flush=True); time.sleep(60)", "was not done within"),
        (f"import os; print('{FIRST}', flush=True); os.close(1); import time; time.sleep(60)", "was not done within"),
        (r"import sys; sys.stdout.buffer.write(b'first-value\xff\xfe')", "no text in UTF-8"),
        ("print('short')", "fewer than 8 characters"),
    ],
)
def test_a_command_that_fails_says_why_and_never_what_it_printed(
    body: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LIMIT_S", 3.0 if "sleep" in body else 60.0)

    values, faults = resolve({"it": script(tmp_path, body)})

    assert values == {}
    assert why in faults["it"]
    assert "first-value" not in faults["it"]


def test_a_command_that_does_not_exist_is_told() -> None:
    assert resolve({"it": "exec:no-such-program-here"})[1]["it"].startswith("no-such-program-here cannot be run")


async def test_a_run_has_the_value_of_its_beginning_and_the_next_one_the_new(keyring: Keyring, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(FIRST)
    keyring.take({"it": f"file:{file}"})
    running = keyring.vault()

    file.write_text(SECOND)
    keyring.take({"it": f"file:{file}"})
    after = keyring.vault()

    handle = "\ue000secret.it\ue001"
    assert (running.reveal(handle), after.reveal(handle)) == (FIRST, SECOND)
    assert after.redact(f"{FIRST} {SECOND}") == f"{MASK} {MASK}"
    assert keyring.redact(f"{FIRST} {SECOND}") == f"{MASK} {MASK}"


@pytest.mark.parametrize("broken", ["", "short", None], ids=["empty", "too short", "gone"])
async def test_a_place_that_fails_keeps_its_last_good_value_and_says_so(
    broken: str | None, keyring: Keyring, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(FIRST)
    keyring.take({"it": f"file:{file}"})

    file.unlink() if broken is None else file.write_text(broken)
    keyring.take({"it": f"file:{file}"})

    assert keyring.vault().reveal("\ue000secret.it\ue001") == FIRST
    assert list(keyring.faults) == ["it"]


async def test_a_name_with_a_new_place_does_not_fall_back_on_the_old_one(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(FIRST)
    keyring.take({"it": f"file:{tmp_path / 'token'}"})

    keyring.take({"it": f"file:{tmp_path / 'other'}"})

    assert keyring.vault().values() == ()
    assert keyring.vault().redact(FIRST) == MASK
    assert list(keyring.faults) == ["it"]


async def test_a_command_is_run_again_when_its_time_is_over(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(FIRST)
    reference = script(tmp_path, f"print(open({str(tmp_path / 'token')!r}).read())")
    keyring.take({"it": reference}, refresh_s=0.0)
    assert list(keyring.faults) == ["it"]

    seen = []
    for value in (FIRST, SECOND):
        (tmp_path / "token").write_text(value)
        await keyring.fetch()
        seen.append(keyring.vault().values())

    assert seen == [(FIRST,), (SECOND,)]
    assert keyring.faults == {}


async def test_a_missing_secret_is_missing_only_for_who_uses_it(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IT_IS_THERE", FIRST)
    keyring.take({"there": "env:IT_IS_THERE", "gone": "env:NOBODY_SET_THIS"})

    assert keyring.vault().values() == (FIRST,)
    assert list(keyring.faults) == ["gone"]


async def test_nobody_sees_a_secret_in_the_list_of_processes(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(FIRST)
    look = f"""
import os
from pathlib import Path
lines = [file.read_bytes() for file in Path('/proc').glob('[0-9]*/cmdline') if os.access(file, os.R_OK)]
print('seen-in-ps' if any({FIRST!r}.encode() in line for line in lines) else 'not-seen-in-ps')
"""
    keyring.take(
        {"token": f"file:{tmp_path / 'token'}", "it": script(tmp_path, look.replace(FIRST, "first-" + FIRST[6:]))}
    )
    await keyring.fetch()

    assert "not-seen-in-ps" in keyring.vault().values()
    assert FIRST not in " ".join(os.environ.values())
