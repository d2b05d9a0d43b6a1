"""lockstep explore"""

from __future__ import annotations

from pathlib import Path

import click

from lockstep.cli import output
from lockstep.cli.verb import print_json, settings, verb
from lockstep.errors import DeclarationError


@verb(
    name="explore",
    example="""
    lockstep explore sqlite:///app.db -o models.py
    lockstep explore postgresql://reader@db.example/app -o models.py

    # A pipeline.py to begin with, beside it:
    import lockstep as ls
    from models import User

    app = ls.SQLite("app.db")
    search = ls.Tantivy("search")
    pipeline = ls.Pipeline("acme")

    @pipeline.mapping(app, to=search.index("users"))
    def users(user: User) -> dict[str, object]:
        return {"name": user.name}
    """,
    answer="""
    {"system", "tables": [{"name", "key", "rows", "exact", "comment",
        "columns": [{"name", "type", "python", "nullable"}],
        "references": [{"columns", "to", "of"}]}]}
    """,
)
@click.argument("url")
@click.option("-o", "--output", "to", metavar="FILE", type=click.Path(path_type=Path), help="Write it here.")
@click.option("--force", is_flag=True, help="Overwrite FILE, and whatever was changed in it.")
def command(url: str, to: Path | None, force: bool) -> None:
    """Write models.py from the tables of a database. Reads, and changes nothing there.

    URL is postgresql://…, sqlite:///app.db, or the path of a .db, .sqlite or .sqlite3 file. The password of
    a PostgreSQL URL may come from PGPASSWORD or ~/.pgpass instead.
    """
    from lockstep.exploration.system import explore

    if to is not None and to.exists() and not force:
        raise _there_already(to)
    with output.waiting("Reading the tables…"):
        catalog = explore(url)
    if settings().json:
        print_json(catalog)
    if settings().json and to is None:
        return
    from lockstep.exploration.models import write_models

    source = write_models(catalog, url_hint=output.redacted(url))
    if to is None:
        click.echo(source, nl=False)
        return
    try:
        with to.open("w" if force else "x", encoding="utf-8") as file:
            file.write(source)
    except FileExistsError:
        raise _there_already(to) from None
    except OSError as error:
        raise DeclarationError(f"{to} cannot be written: {error.strerror}", "Name another file.") from error
    models = source.count("(ls.Model, ") + source.count("(\n    ls.Model,")
    left_out = len(catalog.tables) - models
    output.say(
        f"{to}: {output.count(models, 'model')} of {output.count(len(catalog.tables), 'table')}."
        + (f" {left_out} left out; the end of the file says why." if left_out else "")
    )
    if not Path("pipeline.py").exists():
        output.say("Next, write the mappings: `lockstep explore --help` shows a pipeline.py to begin with.")


def _there_already(path: Path) -> DeclarationError:
    return DeclarationError(
        f"{path} is there already, and may have been edited",
        "Write to another file and compare, or overwrite it with --force.",
    )
