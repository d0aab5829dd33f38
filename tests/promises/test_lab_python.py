"""The lab against apps in Python: correct ones, and wrong ones, each wrong in one way."""

import pytest
from flask.testing import FlaskCliRunner

from phonify.clock import SystemClock
from tests.support.lab_receivers.server import serving_python
from tests.support.lab_receivers.trying import CASES, expect, try_app

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> SystemClock:
    """The machine's clock: an app compares it with the time of a signature."""
    return SystemClock()


@pytest.mark.parametrize(("form", "fault"), CASES)
def test_each_app_gets_its_verdict_and_no_other(runner: FlaskCliRunner, form: str, fault: str) -> None:
    assert try_app(runner, serving_python, form, fault) == expect(form, fault)
