"""Pictures for people: the history as a page, and contact sheets of screenshots."""

from tcvs.page.render import PageError, render_log_page
from tcvs.page.sheet import contact_sheet

__all__ = ["PageError", "contact_sheet", "render_log_page"]
