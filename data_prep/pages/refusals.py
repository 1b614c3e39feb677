"""Pages that were served in place of the one wanted: challenges, refusals, private pages, errors."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup

from data_prep.pages.errors import BlockedPage, ChallengePage, PrivatePage, UnknownPage

# Titles, from their beginning. The site's own end in "Letterboxd".
_CHALLENGE = re.compile(r"just a moment|checking your browser|attention required|verif(?:y|ying) you are human", re.I)
_BLOCKED = re.compile(r"access denied|too many requests|(?:error )?(?:403|429|1015|1020)\b|you are being rate", re.I)
# Sentences of pages that are known by their text alone.
_BLOCKED_TEXT = re.compile(
    r"you are being rate limited|banned you temporarily|you have been blocked|too many requests", re.I
)
_PRIVATE_TEXT = re.compile(r"attempting to access is classified|have the correct clearance|\bis private\b", re.I)
_CONTENT_MARKS = "#content, [data-owner], [data-item-slug], [data-film-slug]"
_CHALLENGE_PARTS = "#challenge-form, #challenge-running, #challenge-error-text, #cf-challenge-running, .cf-turnstile"


def check_refused(soup: BeautifulSoup) -> None:
    """Raise the error of a page that is no content of the site's; return for any other."""
    body = soup.body
    assert body is not None
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    error_page = "error" in (body.get("class") or ()) or title.startswith("Letterboxd - ")
    if not error_page and (title.endswith("Letterboxd") or soup.select_one(_CONTENT_MARKS) is not None):
        return
    words = body.get_text(" ", strip=True)[:5_000].replace("’", "'")
    if _BLOCKED.match(title) or _BLOCKED_TEXT.search(words):
        raise BlockedPage("the site refused the visitor (rate limit or block), so there is nothing to read")
    if _CHALLENGE.match(title) or soup.select_one(_CHALLENGE_PARTS) is not None:
        raise ChallengePage("a challenge that asks the visitor to prove to be human, in place of the page")
    if error_page and (title == "Letterboxd - Forbidden" or _PRIVATE_TEXT.search(words)):
        raise PrivatePage("a private page: its member does not show it to everybody")
    if error_page:
        raise UnknownPage(f"an error page of the site ({title or words[:60]})")
