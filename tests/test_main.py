"""The command `phonify` has the commands of the app."""

from flask import Flask

from phonify.__main__ import phonify


def test_it_has_all_commands_of_the_app_and_those_that_need_none(app: Flask) -> None:
    own = {name: command for name, command in phonify.commands.items() if name in ("serve", "restore")}
    assert len(own) == 2
    assert phonify.commands == {**app.cli.commands, **own}
