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
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TABLES = (
    "history", "campaign", "push_ledger", "journal", "baseline", "quantum_output", "quantum_input", "quantum",
    "artifact", "dataset", "collection_chain", "collection", "dataset_type", "repository",
)  # fmt: skip


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that is compared by its code points in every database."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _string(length: int | None = None) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _table(name: str, *columns: Any, clustered: bool = True) -> None:
    op.create_table(name, *columns, sqlite_with_rowid=not clustered)


def upgrade() -> None:
    """Make the tables."""
    _table(
        "repository",
        sa.Column("key", sa.String().with_variant(sa.String(collation="C"), "postgresql"), primary_key=True),
        sa.Column("value", _text(), nullable=False),
    )
    _table(
        "dataset_type",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _text(128), nullable=False, unique=True),
        sa.Column("dimensions", _text(), nullable=False),
        sa.Column("storage_class", _text(64), nullable=False),
        sa.Column("is_calibration", sa.Boolean, nullable=False),
        clustered=False,
    )  # fmt: skip
    _table(
        "collection",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _text(255), nullable=False, unique=True),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("doc", _text(), nullable=False, server_default=""),
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
        sa.Column("uri", _text(), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("checksum", _text(), nullable=False),
        sa.Column("formatter", _text(64), nullable=False),
    )  # fmt: skip
    _table(
        "quantum",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("attempt", sa.SmallInteger, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("collection.id"), nullable=False, index=True),
        sa.Column("task", _text(128), nullable=False),
        sa.Column("data_id", _text(), nullable=False),
        sa.Column("status", _text(16), nullable=False),
        sa.Column("started_ns", sa.BigInteger), sa.Column("finished_ns", sa.BigInteger), sa.Column("cpu_ns", sa.BigInteger), sa.Column("peak_bytes", sa.BigInteger),
        sa.Column("host", _text()), sa.Column("message", _text()),
        sa.Column("graph_id", _ID),
    )  # fmt: skip
    _table(
        "quantum_input",
        sa.Column("quantum_id", _ID, primary_key=True),
        sa.Column("dataset_id", _ID, primary_key=True, index=True),
        sa.Column("connection", _text(64), primary_key=True),
        sa.Column("was_read", sa.Boolean, nullable=False),
    )  # fmt: skip
    _table(
        "quantum_output",
        sa.Column("quantum_id", _ID, primary_key=True),
        sa.Column("dataset_id", _ID, primary_key=True, index=True),
        sa.Column("connection", _text(64), primary_key=True),
    )  # fmt: skip
    _table(
        "baseline",
        sa.Column("kind", _text(64), primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
    )  # fmt: skip
    _table(
        "journal",
        sa.Column("operation", _ID, primary_key=True),
        sa.Column("item", sa.LargeBinary, primary_key=True),
        sa.Column("state", _text(16), nullable=False),
        sa.Column("payload", _text(), nullable=False, server_default="{}"),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
    )  # fmt: skip
    _table(
        "push_ledger",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("campaign", _text(255), nullable=False),
        sa.Column("who", _text(), nullable=False),
        sa.Column("host", _text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("runs", _text(), nullable=False),
        sa.Column("summary", _text(), nullable=False),
    )  # fmt: skip
    _table(
        "campaign",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("doc", _text(), nullable=False),
        sa.Column("document", _text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
    )  # fmt: skip
    _table(
        "history",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("command", _text(), nullable=False),
        sa.Column("change", _text(), nullable=False),
        clustered=False,
    )  # fmt: skip


def downgrade() -> None:
    """Drop them, with all that they hold."""
    for name in _TABLES:
        op.drop_table(name)
