"""``python -m tests.plug_ins``."""

from tests.plug_ins.trial import main

if __name__ == "__main__":
    main()
