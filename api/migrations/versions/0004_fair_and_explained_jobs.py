"""Fair and explained jobs."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_PENDING = sa.text("state IN ('queued', 'waiting')")
_QUEUED = sa.text("state = 'queued'")
_WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.add_column(
        "sources", sa.Column("weight", sa.Double[float](), nullable=False, server_default="1")
    )
    op.add_column("sources", sa.Column("max_running", sa.Integer()))
    op.add_column(
        "jobs",
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default="1970-01-01 00:00:00",
        ),
    )
    op.add_column("jobs", sa.Column("heartbeat_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE jobs SET since = COALESCE(finished_at, started_at, created_at)")
    op.drop_index("ix_jobs_due", table_name="jobs")
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["source", "priority", "created_at"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["not_before"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("ix_jobs_tenant_state", "jobs", ["tenant", "state", "created_at"])
    op.create_index("ix_jobs_subject", "jobs", ["source", "subject", "created_at"])
    op.create_table(
        "queue_shares",
        sa.Column("urgency", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("finish", sa.Double[float](), nullable=False),
        sa.Column("clock", sa.Double[float](), nullable=False),
        sa.PrimaryKeyConstraint("urgency", "tenant", "source", name=op.f("pk_queue_shares")),
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("resident_bytes", sa.BigInteger()),
        sa.Column("paused", sa.Text()),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("dead", sa.BigInteger(), nullable=False),
        sa.Column("retried", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.BigInteger(), nullable=False),
        sa.Column("claim_seconds", sa.Double[float](), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_workers")),
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("queue_shares")
    op.drop_index("ix_jobs_subject", table_name="jobs")
    op.drop_index("ix_jobs_tenant_state", table_name="jobs")
    op.drop_index("ix_jobs_waiting", table_name="jobs")
    op.drop_index("ix_jobs_queued", table_name="jobs")
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["priority", "created_at"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.drop_column("jobs", "heartbeat_at")
    op.drop_column("jobs", "since")
    op.drop_column("sources", "max_running")
    op.drop_column("sources", "weight")
