"""The fixed tables of the first schema version."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_TABLES = (
    "history", "campaign", "push_ledger", "journal", "baseline", "quantum_output", "quantum_input", "quantum",
    "artifact", "dataset", "collection_chain", "collection", "dataset_type", "repository",
)  # fmt: skip


def _table(name: str, *columns: Any, clustered: bool = True) -> None:
    op.create_table(name, *columns, sqlite_with_rowid=not clustered)


def upgrade() -> None:
    """Make the tables."""
    _table(
        "repository",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    _table(
        "dataset_type",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("dimensions", sa.Text, nullable=False),
        sa.Column("storage_class", sa.String(64), nullable=False),
        sa.Column("is_calibration", sa.Boolean, nullable=False),
        clustered=False,
    )  # fmt: skip
    _table(
        "collection",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False, server_default=""),
        clustered=False,
    )  # fmt: skip
    _table(
        "collection_chain",
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("child_id", sa.Integer, sa.ForeignKey("collection.id"), nullable=False, index=True),
    )  # fmt: skip
    _table(
        "dataset",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("dataset_type_id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
    )  # fmt: skip
    _table(
        "artifact",
        sa.Column("id", _ID, sa.ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("formatter", sa.String(64), nullable=False),
    )  # fmt: skip
    _table(
        "quantum",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("attempt", sa.SmallInteger, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("collection.id"), nullable=False, index=True),
        sa.Column("task", sa.String(128), nullable=False),
        sa.Column("data_id", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started_ns", sa.BigInteger), sa.Column("finished_ns", sa.BigInteger), sa.Column("cpu_ns", sa.BigInteger), sa.Column("peak_bytes", sa.BigInteger),
        sa.Column("host", sa.Text), sa.Column("message", sa.Text),
        sa.Column("graph_id", _ID),
    )  # fmt: skip
    _table(
        "quantum_input",
        sa.Column("quantum_id", _ID, primary_key=True),
        sa.Column("dataset_id", _ID, primary_key=True, index=True),
        sa.Column("connection", sa.String(64), primary_key=True),
        sa.Column("was_read", sa.Boolean, nullable=False),
    )  # fmt: skip
    _table(
        "quantum_output",
        sa.Column("quantum_id", _ID, primary_key=True),
        sa.Column("dataset_id", _ID, primary_key=True, index=True),
        sa.Column("connection", sa.String(64), primary_key=True),
    )  # fmt: skip
    _table(
        "baseline",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
    )  # fmt: skip
    _table(
        "journal",
        sa.Column("operation", _ID, primary_key=True),
        sa.Column("item", sa.LargeBinary, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("payload", sa.Text, nullable=False, server_default="{}"),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
    )  # fmt: skip
    _table(
        "push_ledger",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("campaign", sa.String(255), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("runs", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )  # fmt: skip
    _table(
        "campaign",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
    )  # fmt: skip
    _table(
        "history",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        clustered=False,
    )  # fmt: skip


def downgrade() -> None:
    """Drop them, with all that they hold."""
    for name in _TABLES:
        op.drop_table(name)
