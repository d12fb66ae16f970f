"""Runs the shards of a plan as tasks of Spark, and reads their Parquet files: spark-submit predict.py OUT

First: loc shard plan photos.txt -m best.safetensors -o OUT --shards 100. OUT is a folder that all executors see, and `loc` is in
their path. Spark repeats a failed task (spark.task.maxFailures); a shard that is complete is left alone.
"""

import json
import pathlib
import subprocess
import sys

from pyspark.sql import SparkSession

out = sys.argv[1]
shards = len(json.loads(pathlib.Path(out, "_plan.json").read_text())["shards"])


def run(shard):
    done = subprocess.run(["loc", "shard", "run", out, "--shard", str(shard)], capture_output=True, text=True)
    if done.returncode in (64, 65):  # trying again does not help: the message is the result
        return f"shard {shard}: {done.stderr}"
    done.check_returncode()


spark = SparkSession.builder.appName("loc").getOrCreate()
failed = [error for error in spark.sparkContext.parallelize(range(shards), shards).map(run).collect() if error]
if failed:
    sys.exit("".join(failed))
subprocess.run(["loc", "shard", "merge", out, "--keep-parts"], check=True)
spark.read.parquet(out).groupBy("name").count().show()
