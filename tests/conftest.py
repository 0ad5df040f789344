"""What holds for every test."""

import signal

# A job in the background of a shell is started with SIGINT ignored, and so would be all that it starts: tests that
# press Ctrl-C would press it in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
