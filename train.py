"""``python train.py fit --config configs/NAME.yaml``: the same as the ``mmtasks`` command."""

import sys

from mmtasks.cli import main

if __name__ == "__main__":
    sys.exit(main())
