"""Runs the commands of people, such as `trimtab policy`, in this process against a real Redis, with keys and a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment, load_experiment
from policy_store.backends.redis_store import RedisStore
from policy_store.records.signing import SigningKey
from tests.components.experiment_sample import HOMEFEED
from tests.policy_store.store_samples import BLOBS, LEARNER, PEOPLE, TRUSTED_TEXT, fresh_experiment, manifest
from trimtab.commands import alpha, experiment, policy

COHORTS = '\n[[cohorts]]\nname = "CORE"\n'


@dataclass
class StoreCommands:
    """One experiment with its own keys in Redis, and the environment a person would have set."""

    redis_url: str
    directory: Path
    document: str = HOMEFEED + COHORTS
    signing_key: str = PEOPLE.secret_text()
    trusted_keys: str = TRUSTED_TEXT
    name: str = field(default_factory=fresh_experiment)

    def __post_init__(self) -> None:
        self.file.write_text(self.document.replace('name = "homefeed"', f'name = "{self.name}"'), encoding="utf-8")

    @property
    def file(self) -> Path:
        """The experiment file."""
        return self.directory / "trimtab.toml"

    @property
    def experiment(self) -> Experiment:
        """The experiment."""
        return load_experiment(self.file)

    def environment(self) -> dict[str, str]:
        """The settings, as variables."""
        return {
            "TRIMTAB_REDIS_URL": self.redis_url,
            "TRIMTAB_EXPERIMENT": str(self.file),
            "TRIMTAB_SIGNING_KEY": self.signing_key,
            "TRIMTAB_TRUSTED_KEYS": self.trusted_keys,
            "COLUMNS": "200",
        }

    def store(self) -> RedisStore:
        """The same store, without the command line."""
        return RedisStore(self.redis_url, self.name)

    def put(self, version: str, verdict: str = "pass", key: SigningKey = LEARNER) -> None:
        """Publish a checkpoint that fits the experiment."""
        from policy_store.decisions.governance import publish_checkpoint

        space = self.experiment.action_space.digest
        made = manifest(self.name, version, action_space=space, evaluation={"verdict": verdict})
        publish_checkpoint(self.store(), made, BLOBS, key)

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        """Run a command; its stdout. Raises the command's own TrimtabError."""
        app = typer.Typer()
        policy.register(app)
        alpha.register(app)
        experiment.register(app)
        result = CliRunner().invoke(app, list(arguments), env=self.environment())
        if isinstance(result.exception, TrimtabError):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result.stdout

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """Run a command with --json; what it printed."""
        return json.loads(self.run(*arguments, "--json", exit_code=exit_code))
