"""An encoder out of a checkpoint of this project, to make features with."""

from typing import Any, Self

from mmtasks.checkpoint import read_checkpoint
from mmtasks.config import instantiate
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.types import Facts, Modality, Tokens


class TrainedEncoder(Encoder):
    """One encoder of a trained model, frozen; the file must stay where it is.

    Args:
        checkpoint: written by ``mmtasks fit``.
        modality: the encoder's name in that model.

    ``TrainedEncoder("runs/scenes/checkpoints/best.ckpt")`` encodes images as that model does.
    """

    frozen = True

    def __init__(self, checkpoint: str, *, modality: str = "image") -> None:
        super().__init__()
        if not checkpoint:
            raise ValueError("checkpoint is empty: give the path of one written by `mmtasks fit`")
        self.checkpoint = checkpoint
        self.modality = modality

    def build(self, facts: Facts) -> None:
        """Read the weights; facts are those of the checkpoint.

        Raises:
            UserError: no such file, not a checkpoint of mmtasks, without the modality, or for sound of another ``rate``
                than that of ``facts``.
        """
        saved = read_checkpoint(self.checkpoint)
        recipe: dict[str, Any] = saved["mmtasks"]
        encoders = recipe["backbone"]["init_args"]["encoders"]
        if self.modality not in encoders:
            names = ", ".join(encoders)
            raise UserError(f"{self.checkpoint}: has encoders of {names}, none of {self.modality}; give another one")
        own = recipe["facts"].get(self.modality, {})
        if "rate" in facts and facts["rate"] != own.get("rate"):
            raise UserError(
                f"{self.checkpoint}: its encoder of {self.modality} reads {own.get('rate')} samples a second, "
                f"not {facts['rate']}; set rate to that"
            )
        self.encoder = instantiate(encoders[self.modality])
        self.encoder.build(own)
        start = f"backbone.encoders.{self.modality}."
        weights = saved["state_dict"].items()
        self.encoder.load_state_dict({k.removeprefix(start): v for k, v in weights if k.startswith(start)})
        self.width = self.encoder.width
        self.requires_grad_(False).eval()

    def learned_facts(self) -> dict[str, Any]:
        """Those of the encoder."""
        return self.encoder.learned_facts()

    def forward(self, modality: Modality) -> Tokens:
        """As the encoder does."""
        return self.encoder(modality)

    def train(self, mode: bool = True) -> Self:
        """Never enters training mode."""
        return super().train(False)
