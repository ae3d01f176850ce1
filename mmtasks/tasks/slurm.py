"""What a training run does as a SLURM job; ``docs/slurm.sh`` is the script that starts it."""

import os
import signal
import subprocess
import sys

LIMIT_NEAR = signal.SIGUSR1
"""What ``sbatch --signal=USR1@SECONDS`` sends to every process before the job's time is over."""


def in_job() -> bool:
    """Whether this process was started by SLURM."""
    return "SLURM_JOB_ID" in os.environ


def requeue() -> None:
    """Have this job, or this task of its array, queued again under its number; says so if SLURM refuses."""
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"job {job} is not queued again: {getattr(error, 'stderr', None) or error}", file=sys.stderr)
