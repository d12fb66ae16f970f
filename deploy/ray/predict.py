"""Runs the shards of a plan as tasks of Ray: python predict.py OUT

First: loc shard plan photos.txt -m best.safetensors -o OUT --shards 100. OUT is a folder that all nodes see, and `loc` is in
their path. Ray repeats a task that raises; a shard that is complete is left alone.
"""

import json
import pathlib
import subprocess
import sys

import ray

out = sys.argv[1]
shards = len(json.loads(pathlib.Path(out, "_plan.json").read_text())["shards"])


@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=True)
def run(shard):
    command = ["loc", "shard", "run", out, "--shard", str(shard), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode in (64, 65):  # trying again does not help: the message is the result
        return f"shard {shard}: {done.stderr}"
    done.check_returncode()


failed = [error for error in ray.get([run.remote(shard) for shard in range(shards)]) if error]
if failed:
    sys.exit("".join(failed))
subprocess.run(["loc", "shard", "merge", out, "--keep-parts"], check=True)
