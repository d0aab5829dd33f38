"""What the guides tell a reader to copy."""

import re

from tests.support.app import ROOT


def read_block(guide: str, mark: str) -> str:
    """Return the block of code in a guide that follows the comment `<!-- mark -->`."""
    text = ROOT.joinpath("phonify/docs", f"{guide}.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)```", text, re.DOTALL)
    return str(block)
