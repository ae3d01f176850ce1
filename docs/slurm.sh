#!/bin/bash
# sbatch docs/slurm.sh configs/joint.yaml --config configs/overlays/ddp_one_task.yaml
# trains as a SLURM job that goes on where it stopped, however often it is queued again. What follows the config is handed on.
#SBATCH --job-name=mmtasks
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4        # one process for each GPU: the same number as --trainer.devices
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --requeue                  # a preempted job is queued again by SLURM
#SBATCH --signal=USR1@180          # three minutes before the limit: save a checkpoint, ask to be queued again
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.log      # in a folder that is there: SLURM makes none

# Each start writes a folder of its own, so that the logs of all of them are kept; the newest checkpoint is where it goes on.
config=$1
job=runs/slurm-${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+-$SLURM_ARRAY_TASK_ID}
newest=$(ls -t "$job"/*/checkpoints/*.ckpt 2>/dev/null | head -n 1)

srun --cpus-per-task="$SLURM_CPUS_PER_TASK" mmtasks fit --config "$config" --config configs/overlays/checkpoint_often.yaml \
  --trainer.accelerator gpu --trainer.devices "$SLURM_NTASKS_PER_NODE" --trainer.num_nodes "$SLURM_JOB_NUM_NODES" \
  --trainer.default_root_dir "$job/${SLURM_RESTART_COUNT:-0}" ${newest:+--ckpt_path "$newest"} "${@:2}"
