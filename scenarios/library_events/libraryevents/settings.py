"""Settings that both services have; all come from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """`LIBRARY_<NAME>` for each field; the cluster is found by KAFKAOS_BOOTSTRAP and KAFKAOS_CLIENT_CONFIG."""

    model_config = SettingsConfigDict(env_prefix="LIBRARY_", populate_by_name=True)

    bootstrap: str = Field(default="localhost:9092", validation_alias="KAFKAOS_BOOTSTRAP")
    client_config_file: Path | None = Field(default=None, validation_alias="KAFKAOS_CLIENT_CONFIG")
    """librdkafka properties (`key=value` lines) for every client: security above all."""

    topic: str = "library-events"
    topic_partitions: int = Field(default=3, ge=1)
    """Of topics that this service makes because they are missing."""
    topic_replicas: int = Field(default=-1, ge=-1)
    """-1: as many as the brokers say."""
    database_url: str = "sqlite:///library-events.db"
    """`sqlite:///FILE`, or `postgresql+psycopg://USER@HOST/NAME`."""
    database_timeout_s: float = Field(default=10.0, gt=0)
    """How long a statement may wait for a lock or a connection."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65535)
    """0 takes a free one; `startup_complete` tells it."""
    log_level: str = "INFO"
    scheduler_interval_s: float = Field(default=5.0, gt=0)
    """Between two looks of the scheduler at what waits for a retry."""

    def client_config(self) -> dict[str, Any]:
        """The properties that every Kafka client of this service has."""
        config: dict[str, Any] = {}
        if self.client_config_file is not None:
            for line in self.client_config_file.read_text(encoding="utf-8").splitlines():
                key, found, value = line.partition("=")
                if found and not line.lstrip().startswith("#"):
                    config[key.strip()] = value.strip()
        return {**config, "bootstrap.servers": self.bootstrap}
