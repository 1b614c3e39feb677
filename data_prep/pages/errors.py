"""Why a page could not be read, one class a reason."""

from __future__ import annotations

from data_prep.errors import UserError


class PageError(UserError):
    """A page that nothing is read from. The message says which page and why."""


class ChallengePage(PageError):
    """A page that asks the visitor to prove to be human, in place of what was wanted."""


class BlockedPage(PageError):
    """A page that refuses the visitor: too many requests, or shut out."""


class PrivatePage(PageError):
    """A page that its member does not show to everybody."""


class UnknownPage(PageError):
    """None of the known kinds: another page of the site, another site, no page at all."""


class MarkupChanged(PageError):
    """A page of a known kind that does not hold what it announces where it should be. The message says what was
    looked for."""
