"""The training command: Lightning's own, with a run folder of its own."""

import os
import time
from pathlib import Path

from lightning import LightningDataModule
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback

from mmtasks.tasks.base import TaskModule

BASE_CONFIG = Path(__file__).parent.parent / "base.yaml"


class RunFolderCLI(LightningCLI):
    """``runs/CONFIG-TIME/`` holds the config, the logs and the checkpoints of one run."""

    def before_instantiate_classes(self) -> None:
        """Point the trainer, its loggers and its checkpoints at the run's folder."""
        trainer = self.config[self.subcommand].trainer
        if trainer.default_root_dir is None:
            trainer.default_root_dir = os.environ.setdefault("MMTASKS_RUN", self._new_run())
        run = Path(trainer.default_root_dir)
        loggers = trainer.logger if isinstance(trainer.logger, list) else []
        for logger in loggers:
            logger.init_args.save_dir = str(run)
        callbacks = trainer.callbacks if isinstance(trainer.callbacks, list) else []
        for callback in callbacks:
            if callback.class_path.endswith("ModelCheckpoint") and callback.init_args.dirpath is None:
                callback.init_args.dirpath = str(run / "checkpoints")

    def _new_run(self) -> str:
        configs = self.config[self.subcommand].config or []
        name = Path(str(configs[-1])).stem if configs else "run"
        return str(Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")


class SaveConfig(SaveConfigCallback):
    """Write the full config into the run's folder."""

    def setup(self, trainer, pl_module, stage: str) -> None:  # type: ignore[no-untyped-def]
        """Once, by the first process, in training only."""
        if self.already_saved or stage != "fit" or not trainer.is_global_zero:
            return
        run = Path(trainer.default_root_dir)
        run.mkdir(parents=True, exist_ok=True)
        self.parser.save(self.config, str(run / "config.yaml"), skip_none=False, overwrite=True)
        self.already_saved = True


def launch(arguments: list[str]) -> LightningCLI:
    """Run ``fit``, ``validate`` or ``test`` with the given command line."""
    return RunFolderCLI(
        TaskModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        save_config_callback=SaveConfig,
        seed_everything_default=0,
        parser_kwargs={name: {"default_config_files": [str(BASE_CONFIG)]} for name in ("fit", "validate", "test")},
        args=arguments,
    )
