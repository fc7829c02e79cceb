"""Checkpoints: manifest, blobs, and what happens when they disagree."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from policy_store.records.checkpoint_record import CheckpointManifest, check_blobs, describe_blobs, sign_checkpoint
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid
from tests.conformance.present_code import answer_manifest
from tests.conformance.vector_files import Case, cases
from tests.policy_store.store_samples import BLOBS, LEARNER, TRUSTED, manifest


@pytest.mark.parametrize("case", cases("checkpoint_manifests"), ids=str)
def test_manifests_are_signed_as_the_contract_says(case: Case) -> None:
    assert answer_manifest(case.given) == case.expected, case.why


def test_a_manifest_survives_its_bytes_with_fields_this_version_does_not_know() -> None:
    made = manifest("homefeed", dataset={"rows": 10})
    again = CheckpointManifest.parse(made.canonical())
    assert again == made
    assert again.canonical() == made.canonical()
    assert json.loads(made.canonical())["dataset"] == {"rows": 10}


def test_a_manifest_without_digests_of_the_file_keeps_its_bytes() -> None:
    old = manifest("homefeed").canonical()
    assert b"section_digests" not in old
    assert CheckpointManifest.parse(old).section_digests is None
    assert CheckpointManifest.parse(old).canonical() == old
    new = manifest("homefeed", section_digests={"gate": "ab"})
    assert json.loads(new.canonical())["section_digests"] == {"gate": "ab"}
    assert CheckpointManifest.parse(new.canonical()) == new


def test_a_manifest_says_what_its_network_answers() -> None:
    old = CheckpointManifest.parse(manifest("homefeed").canonical())
    assert (old.answer, old.selection, old.preference) == ("values", "argmax", None)
    assert not {"answer", "selection", "preference"} & json.loads(old.canonical()).keys()
    said: dict[str, Any] = {"answer": "proposal", "selection": "sample", "preference": {"repin": 0.25, "p2p": 0.75}}
    new = CheckpointManifest.parse(manifest("homefeed", **said).canonical())
    assert (new.answer, new.selection, new.preference) == ("proposal", "sample", {"repin": 0.25, "p2p": 0.75})
    assert {name: json.loads(new.canonical())[name] for name in said} == said


@pytest.mark.parametrize(
    "said",
    [
        {"answer": "probabilities"},
        {"answer": "probabilities", "selection": "sample"},
        {"preference": {"repin": 0.25, "p2p": 0.75}},
    ],
)
def test_what_format_1_leaves_out_needs_format_2(said: dict[str, Any]) -> None:
    made = manifest("homefeed", **said)
    assert made.format == json.loads(made.canonical())["format"] == 2
    assert CheckpointManifest.parse(made.canonical()) == made
    content = json.dumps(json.loads(made.canonical()) | {"format": 1}).encode()
    with pytest.raises(RecordMalformed, match=f"checkpoint manifest: {next(iter(said))}.*: needs format 2"):
        CheckpointManifest.parse(content)


def test_other_manifests_keep_format_1() -> None:
    defaults: dict[str, Any] = {"answer": "values", "selection": "argmax", "preference": None}
    for fields in (dict[str, Any](), defaults, {"section_digests": {"gate": "ab"}}):
        assert manifest("homefeed", **fields).format == 1
    assert manifest("homefeed", format=2).format == 2


def test_the_signature_covers_the_manifest_and_through_it_the_blobs() -> None:
    signed = sign_checkpoint(manifest("homefeed"), BLOBS, LEARNER)
    TRUSTED.verify(signed.key_id, signed.manifest, signed.signature, "it")
    assert signed.parsed().blobs["policy.onnx"].sha256 == hashlib.sha256(BLOBS["policy.onnx"]).hexdigest()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": 3}, "format"),
        ({"version": "a/b"}, "version"),
        ({"arms": 0}, "arms"),
        ({"objectives": []}, "objectives"),
        ({"action_space": "short"}, "action_space"),
        ({"blobs": {"manifest": {"sha256": "0" * 64, "size": 1}}}, "blobs"),
        ({"blobs": {"policy.onnx": {"sha256": "0" * 64, "size": -1}}}, "blobs"),
        ({"created_at": "now"}, "created_at"),
        ({"section_digests": {"gate": 5}}, "section_digests"),
        ({"answer": "scores"}, "answer"),
        ({"selection": "softmax"}, "selection"),
        ({"preference": {"repin": 1.5}}, "preference"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    content = json.loads(manifest("homefeed").canonical()) | change
    with pytest.raises(RecordMalformed, match=f"checkpoint manifest: {field}"):
        CheckpointManifest.parse(json.dumps(content).encode())


def test_a_manifest_with_nan_cannot_be_signed() -> None:
    with pytest.raises(RecordMalformed, match="canonical"):
        sign_checkpoint(manifest("homefeed", evaluation={"ips": float("nan")}), BLOBS, LEARNER)


def test_blobs_must_be_those_of_the_manifest() -> None:
    made = manifest("homefeed")
    check_blobs(made, BLOBS)
    wrong: list[tuple[dict[str, bytes], str]] = [
        ({**BLOBS, "policy.onnx": b"\x08\x07grapH"}, "policy.onnx differs"),
        ({"policy.onnx": BLOBS["policy.onnx"]}, "missing"),
        ({**BLOBS, "extra.bin": b""}, "extra.bin"),
    ]
    for blobs, said in wrong:
        with pytest.raises(SignatureInvalid, match=said):
            check_blobs(made, blobs)


def test_the_verdict_is_read_from_the_evaluation() -> None:
    assert manifest("homefeed").verdict == "pass"
    assert manifest("homefeed", evaluation={}).verdict is None
    assert manifest("homefeed", evaluation={"verdict": 3}).verdict is None


def test_blobs_are_described_by_hash_and_size() -> None:
    described = describe_blobs({"evaluation.json": b"{}"})["evaluation.json"]
    assert (described.size, described.sha256) == (2, hashlib.sha256(b"{}").hexdigest())
