"""`python -m timonier`."""

from timonier.main import command

command()
