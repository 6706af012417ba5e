"""Warnings that name the line of the caller, however many frames of this library and of torch lie between."""

import sys
import warnings
from types import FrameType

#: Packages whose frames are passed over; contextlib enters the contexts that this library offers.
PASSED_OVER = ("solvers", "torch", "contextlib")


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the first caller outside of this library and torch.

    Arguments:
        text: the message.
        category: the class of the warning.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and str(frame.f_globals.get("__name__")).split(".")[0] in PASSED_OVER:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
