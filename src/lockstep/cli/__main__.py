"""`python -m lockstep.cli`: the command, where its script is not on the path."""

from lockstep.cli.main import main

main()
