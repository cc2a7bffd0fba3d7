"""A process that forked: the child has none of its parent's threads, so none of their places either."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, threading, warnings
from echostream.stream.threads import SOURCE_THREADS, SourceThreads

warnings.simplefilter("ignore")  # Python 3.12 says that a fork beside threads may go wrong: this is the test of it
end, own = threading.Event(), SourceThreads(1)
for threads in (SOURCE_THREADS, own):
    threads.start(end.wait, lambda: None)
own._lock.acquire()  # as another thread may hold it at this moment
SOURCE_THREADS._lock.acquire()
child = os.fork()
if child:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    own._lock.release()
    SOURCE_THREADS._lock.release()
    print(code, SOURCE_THREADS.statistics().open, own.statistics().open)
else:
    signal.alarm(10)  # a child that hangs ends by itself
    ended = threading.Event()
    own.start(lambda: None, ended.set)
    os._exit(0 if ended.wait(5) and SOURCE_THREADS.statistics().open == 0 else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_child_begins_anew_and_the_parent_goes_on():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=20, check=False)
    assert (found.stdout, found.stderr) == ("0 1 1\n", "")
