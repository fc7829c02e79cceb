"""The lines that `keygen` prints are for a shell, and its last words name the key that is still missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from policy_store.records.signing import TrustedKeys, write_key_pair
from tests.policy_store.store_samples import LEARNER, PEOPLE
from trimtab.key_lines import key_lines, say_next_key, trusting_line


def pasted(script: str) -> str:
    return subprocess.run(["bash", "-c", script], env={}, capture_output=True, text=True, check=True).stdout


def test_trusted_keys_add_up_in_a_variable_and_in_its_file(tmp_path: Path) -> None:
    lines = [trusting_line(key, "") for key in (LEARNER, PEOPLE)]
    shown = pasted("\n".join([*lines, "printf %s $TRIMTAB_TRUSTED_KEYS"]))
    assert TrustedKeys.parse(shown) == TrustedKeys.of(LEARNER, PEOPLE)
    file = tmp_path / "trusted keys"
    pasted("\n".join(trusting_line(key, f"@{file}") for key in (LEARNER, PEOPLE)))
    assert TrustedKeys.parse(f"@{file}") == TrustedKeys.of(LEARNER, PEOPLE)


def test_the_private_key_is_never_set_by_pasting() -> None:
    secret, _ = key_lines(LEARNER, "")
    assert secret.startswith("# only for `trimtab learn`") and secret.endswith(LEARNER.secret_text())


def test_what_follows_is_the_other_key_then_the_topics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for key in (PEOPLE, LEARNER):
        made = write_key_pair(key, tmp_path / key.role.value)
        say_next_key(key, made.private, made.trusted)
        said.append(capsys.readouterr().err)
    assert said[0].startswith(f"next: trimtab policy keygen --role learner --id main --out {tmp_path / 'learner'}\n")
    assert said[1].startswith("next: trimtab topics create\n")
    assert f"TRIMTAB_SIGNING_KEY=@{tmp_path / 'learner'} only for `trimtab learn`" in said[1]
