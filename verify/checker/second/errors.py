"""What ends a decision of the second checker."""


class Wrong(Exception):
    """Exception: a certificate is false, or not a certificate; the message says why."""


class CannotDecide(Exception):
    """Exception: a formula is not about rational numbers; the message says what it needs."""
