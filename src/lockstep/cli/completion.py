"""lockstep completion"""

from __future__ import annotations

import click

from lockstep.cli.verb import print_json, settings, verb


@verb(
    name="completion",
    example="""
    eval "$(lockstep completion bash)"  # in ~/.bashrc; zsh likewise in ~/.zshrc
    lockstep completion fish > ~/.config/fish/completions/lockstep.fish
    """,
    answer="""
    {"shell", "script"}
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    script = found(root, {}, "lockstep", "_LOCKSTEP_COMPLETE").source()
    if settings().json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
