"""Why a page could not be read, one class a reason."""

from __future__ import annotations

from data_prep.errors import UserError


class PageError(UserError):
    """A page that holds nothing to read. The message says which page and why."""


class ChallengePage(PageError):
    """A page that asks the visitor to prove to be human, in place of what was wanted."""


class BlockedPage(PageError):
    """A page that says this visitor is refused: too many requests, or shut out."""


class PrivatePage(PageError):
    """A page that its member shows to nobody, or to friends only."""


class UnknownPage(PageError):
    """Anything that is none of the known pages: another site, another kind of page, not HTML at all."""


class MarkupChanged(PageError):
    """A page of a known kind whose markup is not known: what it announces is not where it should be."""
