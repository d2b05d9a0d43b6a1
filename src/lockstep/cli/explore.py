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
    lockstep explore zuora -o models.py --page tenant.md

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
    {"system", "tables": [{"name", "key", "rows": or null, "exact",
        "comment", "columns": [{"name", "type", "python", "nullable",
            "label", "custom", "options", "createable", "updateable",
            "required"}],
        "references": [{"columns", "to", "of"}], "others": [COLUMN],
        "related": [[NAME, OBJECT]], "setting",
        "unread": why it has no model}],
     "missed": [[OBJECT, why]], "custom_for"}
    """,
)
@click.argument("url")
@click.option(
    "-o",
    "--output",
    "to",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write models.py here.  [default: standard output]",
)
@click.option(
    "--page",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page for people here: in Markdown, what there is and what it is called.",
)
@click.option(
    "--force", is_flag=True, help="Overwrite files that are there, and whatever was changed in them."
)
def command(url: str, to: Path | None, page: Path | None, force: bool) -> None:
    """Write models.py from the tables of a database. Reads, and changes nothing there.

    URL is postgresql://…, sqlite:///app.db, the path of a .db, .sqlite or .sqlite3 file, or the word zuora:
    the tenant of ZUORA_URL, ZUORA_CLIENT_ID and ZUORA_CLIENT_SECRET, with its own fields. The password of
    a PostgreSQL URL may come from PGPASSWORD or ~/.pgpass instead.
    """
    from lockstep.exploration.system import explore

    for file in (to, page):
        if file is not None and file.exists() and not force:
            raise _there_already(file)
    with output.waiting("Reading the tables…"):
        catalog = explore(url)
    hint = catalog.system if url == "zuora" else output.redacted(url)
    if catalog.missed:
        names = ", ".join(name for name, _ in catalog.missed)
        output.say(f"Not told by {catalog.system}: {names}. First: {catalog.missed[0][1]}")
    if settings().json:
        print_json(catalog)
    if page is not None:
        from lockstep.exploration.page import write_page

        _write(page, write_page(catalog, url_hint=hint), force)
        output.say(f"{page}: {output.count(len(catalog.tables), 'table')}.")
    if to is None and (settings().json or page is not None):
        return
    from lockstep.exploration.models import write_models

    source = write_models(catalog, url_hint=hint)
    if to is None:
        click.echo(source, nl=False)
        return
    _write(to, source, force)
    models = source.count("(ls.Model, ") + source.count("(\n    ls.Model,")
    left_out = len(catalog.tables) - models
    output.say(
        f"{to}: {output.count(models, 'model')} of {output.count(len(catalog.tables), 'table')}."
        + (f" {left_out} left out; the end of the file says why." if left_out else "")
    )
    if not Path("pipeline.py").exists():
        output.say("Next, write the mappings: `lockstep explore --help` shows a pipeline.py to begin with.")


def _write(to: Path, text: str, force: bool) -> None:
    try:
        with to.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _there_already(to) from None
    except OSError as error:
        raise DeclarationError(f"{to} cannot be written: {error.strerror}", "Name another file.") from error


def _there_already(path: Path) -> DeclarationError:
    return DeclarationError(
        f"{path} is there already, and may have been edited",
        "Write to another file and compare, or overwrite it with --force.",
    )
