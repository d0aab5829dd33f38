"""Reads the variables of the gateway `http`. All errors are reported together."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from ..variables import Secret, Variables
from .answers import REFUSALS, Answers, Finder, Rule, parse_rules
from .callbacks import IN_RECEIPTS, IN_TEXTS, Callbacks, parse_names, parse_statuses
from .presets import PRESETS, Preset
from .template import CREDENTIALS, Form, Headers, Template, parse_body

PREFIX = "PHONIFY_HTTP_"
FIELDS = tuple(field.name for field in fields(Preset))
VARIABLES = tuple(
    PREFIX + name
    for name in (
        *("PRESET", "URL", *map(str.upper, FIELDS), "USERNAME", "PASSWORD", "PASSWORD_FILE", "NUMBER"),
        *("CALLBACK_SECRET", "CALLBACK_SECRET_FILE"),
    )
)
_SHORTEST_SECRET = 16  # characters
_NO_PRESET = (
    'is missing. Use one of the values "kannel", "jasmin" and "custom". If the value is "kannel" or "jasmin", you must'
    " set three other variables: PHONIFY_HTTP_URL, PHONIFY_HTTP_USERNAME and PHONIFY_HTTP_PASSWORD. If the value is"
    ' "custom", you must set PHONIFY_HTTP_URL and PHONIFY_HTTP_TAKEN. You must also write a template with {to} and'
    " {text}. Put this template into PHONIFY_HTTP_QUERY or into PHONIFY_HTTP_BODY."
)
_NO_RULE = "is missing. Use a rule such as 2xx. If an answer matches, the provider has taken the message."

Read = TypeVar("Read")


@dataclass(frozen=True, repr=False)  # a template may contain a secret
class Configuration:
    """The values of the variables."""

    method: str
    url: str
    query: Form
    headers: Headers
    body: Template | None
    username: str
    password: Secret
    codings: tuple[str, str]  # of GSM-7 and UCS-2
    answers: Answers
    callbacks: Callbacks
    receipts_at: str | None  # the beginning of the URL of each receipt
    number: str | None
    probe: str
    probe_query: Form
    ready: list[Rule]
    cuts: bool  # whether a long text is sent as one request for each segment


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Read the variables. Raises ValueError with one line for each error."""
    variables = Variables(environ, PREFIX)
    is_empty = not any(variables.read(name, "") for name in ("PRESET", "QUERY", "BODY", "TAKEN"))
    if is_empty:
        variables.add_error("PRESET", _NO_PRESET)
    preset = PRESETS.get(variables.read_choice("PRESET", *PRESETS), Preset())
    texts = {name: variables.read(name.upper(), getattr(preset, name)) for name in FIELDS}

    def parse(name: str, read: Callable[[str], Read]) -> Read:
        try:
            return read(texts[name])
        except ValueError as error:
            variables.add_error(name.upper(), str(error))
            return read("")

    texts["url"] = url = variables.read_url("URL")
    query, headers = parse("query", Form), parse("headers", Headers)
    body = parse("body", parse_body) if texts["body"] else None
    probe, _, texts["probe"] = texts["probe"].partition("?")
    probe_query = parse("probe", lambda text: Form(text, CREDENTIALS))
    names = {*query.names, *headers.names, *(body.names if body else ())}
    if not is_empty:
        _check_templates(variables, texts, names)
    needed = names | probe_query.names
    username = variables.read("USERNAME", None if {"username", "basic"} & needed else "")
    password = variables.read_secret("PASSWORD", required=bool({"password", "basic"} & needed))
    if headers.names and not re.fullmatch("[ -~]*", username + password.reveal()):
        variables.add_error(
            "PASSWORD", "the headers have placeholders, so the user name and the password must be printable ASCII"
        )
    if not texts["taken"] and not is_empty:
        variables.add_error("TAKEN", _NO_RULE)
    answers = Answers(
        later=parse("later", lambda text: parse_rules(text, "pause")),
        refused=parse("refused", lambda text: parse_rules(text, *REFUSALS)),
        taken=parse("taken", parse_rules),
        reference=parse("reference", Finder),
        code=parse("code", Finder),
    )
    receipt = parse("receipt", lambda text: parse_names(text, IN_RECEIPTS, ("status",)))
    inbound = parse("inbound", lambda text: parse_names(text, IN_TEXTS, ("from", "text|text_hex")))
    statuses = parse("status", parse_statuses)
    if bool(texts["receipt"]) != bool(texts["status"]):
        variables.add_error("STATUS" if texts["receipt"] else "RECEIPT", "is missing; receipts need both")
    public_url = environ.get("PHONIFY_PUBLIC_URL", "").rstrip("/")
    secret = _read_callback_secret(variables, required=bool(public_url and (receipt or inbound)))
    configuration = Configuration(
        method=texts["method"],
        url=url,
        query=query,
        headers=headers,
        body=body,
        username=username,
        password=password,
        codings=parse("coding", _parse_codings),
        answers=answers,
        callbacks=Callbacks(secret=secret, receipt=receipt, statuses=statuses, inbound=inbound, answer=texts["answer"]),
        receipts_at=f"{public_url}/gateways/http/{secret.reveal()}/receipt" if public_url and receipt else None,
        number=variables.read_number("NUMBER"),
        probe=probe,
        probe_query=probe_query,
        ready=parse("ready", parse_rules),
        cuts=bool({"udh", "udh_hex"} & names),
    )
    variables.finish()
    return configuration


def _check_templates(variables: Variables, texts: Mapping[str, str], names: Collection[str]) -> None:
    if texts["method"] not in ("POST", "GET", "PUT"):
        variables.add_error("METHOD", "must be POST or GET or PUT")
    if texts["method"] == "GET" and texts["body"]:
        variables.add_error("BODY", "must be empty, because the method is GET")
    if "{" in texts["url"]:
        variables.add_error("URL", "must not contain placeholders; write the placeholders in PHONIFY_HTTP_QUERY")
    template = "BODY" if texts["body"] else "QUERY"
    for one, other in ("to", "to_digits"), ("text", "text_hex"):
        if not {one, other} & set(names):
            variables.add_error(template, f"lacks {{{one}}} or {{{other}}}")


def _parse_codings(text: str) -> tuple[str, str]:
    words = text.split()
    if text and len(words) != 2:
        raise ValueError(
            f"{text!r} must be two values with a space between them: {{coding}} for GSM-7, then {{coding}} for UCS-2"
        )
    return (words[0], words[1]) if words else ("", "")


def _read_callback_secret(variables: Variables, *, required: bool) -> Secret:
    secret = variables.read_secret("CALLBACK_SECRET", required=required)
    if secret and not re.fullmatch(rf"[A-Za-z0-9_-]{{{_SHORTEST_SECRET},}}", secret.reveal()):
        variables.add_error(
            "CALLBACK_SECRET", f"must have {_SHORTEST_SECRET} or more of the characters A-Z a-z 0-9 _ -"
        )
    return secret
