"""One run of gradcam as tasks of a Ray cluster whose machines see the same folders.

python ray_tasks.py PARTS PICTURES WEIGHTS RESULTS [OPTIONS...]

A task takes a GPU where the cluster has any. One that dies with its machine is started again and goes on where it was.
"""

import subprocess
import sys

import ray


@ray.remote(num_cpus=2, max_retries=3)
def explain(shard, pictures, weights, results, options):
    """Explains one part; its exit code, 1 where a picture failed."""
    command = ["gradcam", pictures, "--weights", weights, "--recursive", "--out-dir", results]
    command += ["--shard", shard, "--resume", "--quiet", *options]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code not in (0, 1):
        raise RuntimeError(f"part {shard} ended with {code}")
    return code


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    parts, (pictures, weights, results), options = int(sys.argv[1]), sys.argv[2:5], sys.argv[5:]
    ray.init()
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    task = explain.options(num_gpus=gpus)
    shards = [f"{number}/{parts}" for number in range(1, parts + 1)]
    ray.get([task.remote(shard, pictures, weights, results, options) for shard in shards])
    sys.exit(subprocess.run(["gradcam", "merge", results], check=False).returncode)


if __name__ == "__main__":
    main()
