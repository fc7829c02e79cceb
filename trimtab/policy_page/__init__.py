"""The report of `trimtab report` as one HTML page: for whoever chooses α, and for whoever has to trust the numbers.

Reads what `learner.policy_report` computed.
Writes HTML text.
Guarantees that the page needs nothing from elsewhere: its style and its charts are in it, and it has no script.
"""

from trimtab.policy_page.page import render_page

__all__ = ["render_page"]
