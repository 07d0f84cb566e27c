"""The environment that Alembic runs every service's revisions in; see `mesh.storage.migrations`."""  # noqa: INP001

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
