"""Output of code under test goes to standard error, however it is written."""

import os
import sys

import pytest

from ramda_verify.engine.streams import printed_to_stderr


def test_what_is_printed_and_what_is_written_to_the_descriptor_goes_to_stderr(capfd):
    print("before")
    with printed_to_stderr():
        print("printed")
        sys.stdout.flush()
        os.write(1, b"written\n")
        os.write(2, b"error\n")
    print("after")
    os.write(1, b"the end\n")
    out, err = capfd.readouterr()
    assert out == "before\nafter\nthe end\n"
    assert err == "printed\nwritten\nerror\n"


def test_streams_are_as_they_were_after_an_error_and_no_descriptor_is_left_open(capfd):
    free = os.dup(1)
    os.close(free)
    with pytest.raises(KeyError), printed_to_stderr():
        raise KeyError
    os.write(1, b"out\n")
    os.write(2, b"err\n")
    assert capfd.readouterr() == ("out\n", "err\n")
    again = os.dup(1)
    os.close(again)
    assert again == free
