"""What can go wrong with another host; each text is a sentence for the one who named it."""


class GuardedError(Exception):
    """The exchange did not come to its end; the text says why, and tells nothing that is secret."""


class Refused(GuardedError):
    """A rule forbids it: nothing was sent to where the rule forbids."""


class Failed(GuardedError):
    """The other host could not be reached, or did not answer as HTTP wants it."""


class TooSlow(Failed):
    """It took longer than it may."""


class TooLarge(GuardedError):
    """The content is larger than it may be."""


class Cancelled(GuardedError):
    """Nobody wants the answer any more."""
