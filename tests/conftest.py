"""What holds for every test."""

import signal

# A job in the background of a shell is started with SIGINT ignored, one under nohup with SIGHUP, and so would be all
# that it starts: tests that send these signals would send them in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
