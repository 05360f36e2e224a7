"""Names of users and groups, for messages."""

from __future__ import annotations

__all__ = ["group_text", "owner_text"]


def owner_text(number: int) -> str:
    """Return what a user is called.

    Parameters
    ----------
    number : int
        The user's.

    Returns
    -------
    str
        The name, or the number where there is none.
    """
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def group_text(number: int) -> str:
    """Return what a group is called.

    Parameters
    ----------
    number : int
        The group's.

    Returns
    -------
    str
        The name, or the number where there is none.
    """
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
