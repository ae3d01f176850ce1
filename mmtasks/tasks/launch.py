"""The training command: Lightning's own, with a run folder of its own."""

import itertools
import logging
import os
import re
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning import Trainer
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from mmtasks.checkpoint import read_checkpoint
from mmtasks.data.base import TaskData
from mmtasks.errors import UserError
from mmtasks.tasks.agreement import check_started, check_unused
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.plugins import with_ours
from mmtasks.tasks.readable import check_yaml, readable_errors
from mmtasks.tasks.transfer import init_backbone
from mmtasks.tasks.whole_checkpoints import SAVED, clear_parts, newest, unwritten

TIME = "%Y%m%d-%H%M%S"
BASE_CONFIG = Path(__file__).parent.parent / "base.yaml"
NOISE = (
    "LightningCLI's args",
    "`isinstance(treespec",
    "in eval mode at the start of training",
    "Consider increasing the value of the `num_workers`",
    "It is recommended to use `self.log(",
)
"""Warnings that say nothing a user could act on: our own use of Lightning, small data that needs no
workers, figures of a whole set, which metrics have gathered."""


class RunFolderCLI(LightningCLI):
    """``runs/CONFIG-TIME/`` holds the config, the logs and the checkpoints of one run."""

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Where the backbone starts from."""
        parser.add_argument("--init_backbone_from", type=str | None, help="a checkpoint of any task to start from")
        parser.add_argument(
            "--init_backbone_skip", type=list[str], default=[], help="its weights that are left out, as [encoders.text]"
        )

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse; what is wrong becomes one line."""
        check_yaml(_configs(args))
        with readable_errors():
            super().parse_arguments(parser, args)
        path = self.config[self.config.subcommand].ckpt_path
        if path and Path(path).is_file():
            read_checkpoint(path)  # says in a line what Lightning, which reads it next, would say in many

    def instantiate_classes(self) -> None:
        """Make the configured objects; what is wrong becomes one line, and leaves no empty folder of a run."""
        try:
            with readable_errors():
                super().instantiate_classes()
        except UserError:
            with suppress(OSError):  # not made, not empty: an earlier run's
                Path(self.config[self.subcommand].trainer.default_root_dir or "").rmdir()
            raise

    def before_fit(self) -> None:
        """Check the strategy; a new run may start from another's backbone, a resumed one has its own."""
        check_unused(self.trainer, self.datamodule)
        check_started(self.trainer, os.environ)
        config = self.config[self.subcommand]
        if config.init_backbone_from and not config.ckpt_path:
            self.model.start = partial(init_backbone, path=config.init_backbone_from, skip=config.init_backbone_skip)

    def before_validate(self) -> None:
        """Check the strategy."""
        check_started(self.trainer, os.environ)

    before_test = before_validate

    def before_instantiate_classes(self) -> None:
        """Point the trainer, its loggers and its checkpoints at the run's folder."""
        config = self.config[self.subcommand]
        if config.ckpt_path == "last":
            config.ckpt_path = self._newest_checkpoint()
        if config.ckpt_path and not Path(config.ckpt_path).exists() and config.ckpt_path != "best":
            raise UserError(f"{config.ckpt_path}: no such checkpoint; give a file from runs/*/checkpoints")
        if config.ckpt_path and self.subcommand == "fit":
            clear_parts(Path(config.ckpt_path).parent)
        trainer = config.trainer
        if trainer.default_root_dir is None:
            trainer.default_root_dir = self._run_folder()
        run = Path(trainer.default_root_dir)
        if _is_first():
            _make(run)
        loggers = trainer.logger if isinstance(trainer.logger, list) else []
        for logger in loggers:
            logger.init_args.save_dir = str(run)
        callbacks = trainer.callbacks if isinstance(trainer.callbacks, list) else []
        for callback in callbacks:
            if callback.class_path.endswith("ModelCheckpoint") and callback.init_args.dirpath is None:
                callback.init_args.dirpath = str(run / "checkpoints")

    def instantiate_trainer(self, **options: Any) -> Trainer:
        """With the plugins that every run has."""
        given = self.config_init[self.subcommand].trainer.plugins
        return super().instantiate_trainer(plugins=with_ours(given), **options)

    def after_fit(self) -> None:
        """The trained weights are on the disk, or this is no success; a table of the last validation."""
        for path, reason in unwritten(self.trainer).items():
            raise UserError(f"{path}: not written ({reason}); make room, go on with --ckpt_path {newest(path.parent)}")
        if self.trainer.is_global_zero:
            _print_table({k: v for k, v in self.trainer.callback_metrics.items() if k.startswith("val/")})

    def _newest_checkpoint(self) -> str:
        """Of the run whose config is given."""
        configs = [Path(str(config)) for config in self.config[self.subcommand].config or []]
        run = next((path.parent for path in configs if path.name == SAVED), None)
        if run is None:
            raise UserError(f"--ckpt_path last needs --config RUN/{SAVED}, the config of the run to go on with")
        if (found := newest(run / "checkpoints")) is None:
            raise UserError(f"{run / 'checkpoints'}: no checkpoint yet; start again without --ckpt_path")
        return str(found)

    def _run_folder(self) -> str:
        """A new folder. Every process finds a name; that of the first counts, see ``SaveConfig``."""
        configs = self.config[self.subcommand].config or []
        name = "-".join(_name(Path(str(config))) for config in configs) or "run"
        return _unused(Path("runs") / f"{name}-{time.strftime(TIME)}")


def _print_table(figures: Mapping[str, Any]) -> None:
    """A line for each."""
    width = max(map(len, figures), default=0)
    for name, value in sorted(figures.items()):
        print(f"{name:{width}s} {float(value):10.4f}")


def _configs(arguments: Any) -> list[str]:
    """What stands after ``--config``, or ``-c``, on a command line."""
    words = list(arguments or [])
    after = [value for word, value in itertools.pairwise(words) if word in ("--config", "-c")]
    return after + [word.removeprefix("--config=") for word in words if str(word).startswith("--config=")]


def _is_first() -> bool:
    """Whether this is the first process, as far as one that has not met the others can tell."""
    return getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"


def _make(run: Path) -> None:
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
        raise UserError(f"{run}: {reason}; choose another --trainer.default_root_dir") from None


def _name(config: Path) -> str:
    """What a run is called: after its config, or after the run whose config it goes on with."""
    return re.sub(r"-\d{8}-\d{6}(-\d+)?$", "", config.parent.name) if config.name == SAVED else config.stem


def _unused(path: Path) -> str:
    """The path, numbered if there is one of that name."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return str(next(p for p in itertools.chain([path], numbered) if not p.exists()))


class SaveConfig(SaveConfigCallback):
    """Agree on the run's folder; write the full config into it, fit to start another run with."""

    def setup(self, trainer, pl_module, stage: str) -> None:  # type: ignore[no-untyped-def]
        """All processes take the first one's folder: they start at other times, on other machines. It saves, once."""
        trainer._default_root_dir = trainer.strategy.broadcast(trainer.default_root_dir)
        if self.already_saved or stage != "fit" or not trainer.is_global_zero:
            return
        run = Path(trainer.default_root_dir)
        self.parser.save(_reusable(self.config), str(run / SAVED), skip_none=False, overwrite=True)
        self.already_saved = True


def _reusable(config: Namespace) -> Namespace:
    """The config without this run's folder: another run makes its own."""
    config = config.clone()
    config.trainer.default_root_dir = None
    for callback in config.trainer.callbacks or []:
        if callback.class_path.endswith("ModelCheckpoint"):
            callback.init_args.dirpath = None
    return config


def launch(arguments: list[str]) -> LightningCLI:
    """Run ``fit``, ``validate`` or ``test`` with the given command line."""
    _quieten()
    options = {"default_config_files": [str(BASE_CONFIG)], "exit_on_error": False}
    return RunFolderCLI(
        TaskModule,
        TaskData,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        save_config_callback=SaveConfig,
        seed_everything_default=0,
        parser_kwargs={name: options for name in ("fit", "validate", "test")} | {"exit_on_error": False},
        args=arguments,
    )


def _quieten() -> None:
    for message in NOISE:
        warnings.filterwarnings("ignore", message=f".*{re.escape(message)}.*")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda r: "Tip:" not in r.getMessage())
