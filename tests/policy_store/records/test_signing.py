"""Keys: their text form, what they sign, what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from policy_store.records.signing import Role, SigningKey, TrustedKeys, role_of, write_key_pair
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid
from tests.conformance.present_code import answer_signature
from tests.conformance.vector_files import Case, cases
from tests.policy_store.store_samples import LEARNER, PEOPLE, STRANGER, TRUSTED

# RFC 8032, section 7.1, test 2.
RFC_SECRET = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
RFC_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
RFC_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def text(key_id: str, raw: bytes) -> str:
    return f"{key_id}={base64.b64encode(raw).decode()}"


def test_signatures_are_those_of_the_standard() -> None:
    key = SigningKey.parse(text("learner/rfc", RFC_SECRET))
    assert key.sign(b"\x72") == RFC_SIGNATURE
    assert key.public_text() == text("learner/rfc", RFC_PUBLIC)
    assert TrustedKeys.of(key).verify("learner/rfc", b"\x72", RFC_SIGNATURE, "it") is Role.LEARNER


@pytest.mark.parametrize("case", cases("signatures"), ids=str)
def test_signatures_are_believed_as_the_contract_says(case: Case) -> None:
    assert answer_signature(case.given) == case.expected, case.why


def test_a_key_survives_its_text_form() -> None:
    again = SigningKey.parse(LEARNER.secret_text())
    assert (again.key_id, again.role) == ("learner/main", Role.LEARNER)
    assert TRUSTED.verify("learner/main", b"x", again.sign(b"x"), "it") is Role.LEARNER


def test_the_secret_stays_out_of_repr_and_errors() -> None:
    secret = LEARNER.secret_text().partition("=")[2]
    assert secret not in repr(LEARNER)
    with pytest.raises(RecordMalformed) as caught:
        SigningKey.parse(f"learner/main={secret[:-8]}")
    assert secret[:-8] not in str(caught.value)


@pytest.mark.parametrize(
    ("signing_text", "said"),
    [
        ("", "not 0"),
        ("main=AAAA", "no key id"),
        ("root/main=AAAA", "no key id"),
        ("learner/main", "no key id"),
        ("learner/main=***", "not base64"),
        ("learner/main=AAAA", "3 bytes"),
        (f"{LEARNER.secret_text()},{PEOPLE.secret_text()}", "not 2"),
        ("@/nonexistent/key", "cannot be read"),
    ],
)
def test_an_unusable_signing_key_is_named(signing_text: str, said: str) -> None:
    with pytest.raises(RecordMalformed, match=said):
        SigningKey.parse(signing_text)


def test_trusted_keys_come_from_lines_commas_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "trusted"
    file.write_text(f"# people\n{PEOPLE.public_text()}\n\n{LEARNER.public_text()}  # the learner\n", "utf-8-sig")
    assert TrustedKeys.parse(f"@{file}") == TRUSTED
    assert TrustedKeys.parse(f"{PEOPLE.public_text()}, {LEARNER.public_text()}") == TRUSTED
    assert TrustedKeys.parse("") != TRUSTED


def test_a_key_id_is_trusted_once() -> None:
    with pytest.raises(RecordMalformed, match="twice"):
        TrustedKeys.parse(f"{PEOPLE.public_text()},{PEOPLE.public_text()}")


def test_an_own_key_is_trusted_beside_the_others_and_replaces_none() -> None:
    own, other = SigningKey.generate(Role.LEARNER, "own"), SigningKey.generate(Role.LEARNER, "other")
    trusted = TrustedKeys.of(other).including(own)
    assert trusted.key_ids == ("learner/other", "learner/own")
    impostor = SigningKey.generate(Role.LEARNER, "other")
    with pytest.raises(SignatureInvalid):
        trusted.including(impostor).verify(impostor.key_id, b"x", impostor.sign(b"x"), "it")
    assert trusted.verify(own.key_id, b"x", own.sign(b"x"), "it") is Role.LEARNER


def test_changed_bytes_unknown_keys_and_borrowed_ids_are_refused() -> None:
    signature = LEARNER.sign(b"content")
    with pytest.raises(SignatureInvalid, match="does not match"):
        TRUSTED.verify("learner/main", b"contenT", signature, "it")
    with pytest.raises(SignatureInvalid, match="not a trusted key"):
        TRUSTED.verify("governance/stranger", b"content", STRANGER.sign(b"content"), "it")
    with pytest.raises(SignatureInvalid, match="does not match"):
        TRUSTED.verify("governance/board", b"content", signature, "it")
    with pytest.raises(SignatureInvalid, match="does not match"):
        TRUSTED.verify("learner/main", b"content", signature[:-1], "it")


def test_the_role_is_part_of_the_id() -> None:
    assert role_of("governance/board") is Role.GOVERNANCE
    for wrong in ("board", "root/board", "learner/", "learner/a b", "learner/a/b", "learner/main\n"):
        with pytest.raises(SignatureInvalid, match="role"):
            role_of(wrong)
    with pytest.raises(RecordMalformed, match="a b"):
        SigningKey.generate(Role.LEARNER, "a b")


def test_a_key_pair_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "board.key"
    public = write_key_pair(PEOPLE, file).public
    assert file.stat().st_mode & 0o777 == 0o600
    assert SigningKey.parse(f"@{file}").public_text() == PEOPLE.public_text()
    assert TrustedKeys.parse(f"@{public}") == TrustedKeys.parse(PEOPLE.public_text())
    with pytest.raises(RecordMalformed, match=r"board\.key"):
        write_key_pair(LEARNER, file)
    assert SigningKey.parse(f"@{file}").key_id == "governance/board"


def test_one_file_lists_the_keys_of_a_folder_each_once(tmp_path: Path) -> None:
    trusted = tmp_path / "keys" / "trusted_keys"
    trusted.parent.mkdir()
    trusted.write_text("# of last year\n" + STRANGER.public_text(), encoding="utf-8")  # no line end
    for key, name in ((LEARNER, "learner"), (PEOPLE, "board")):
        assert write_key_pair(key, trusted.with_name(name)).trusted == trusted
    assert TrustedKeys.parse(f"@{trusted}") == TrustedKeys.of(STRANGER, LEARNER, PEOPLE)
    with pytest.raises(RecordMalformed, match="governance/board already"):
        write_key_pair(PEOPLE, trusted.with_name("other"))
    assert not trusted.with_name("other").exists(), "no key is left over that nobody trusts"


def test_that_no_key_is_trusted_is_said_as_such() -> None:
    with pytest.raises(SignatureInvalid, match="TRIMTAB_TRUSTED_KEYS is not set"):
        TrustedKeys({}).verify("learner/main", b"x", LEARNER.sign(b"x"), "the record")
