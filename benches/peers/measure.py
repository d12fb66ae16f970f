"""Runs a command and prints a line of JSON: its time in seconds, peak resident memory in MiB, and output."""

import json
import resource
import subprocess
import sys
import time

start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
seconds = time.perf_counter() - start
if done.returncode != 0:
    sys.exit(f"{sys.argv[1]} failed with {done.returncode}: {done.stderr[-2000:]}")
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "mib": peak, "output": done.stdout}))
