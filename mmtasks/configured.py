"""What a checkpoint may make. Apart from ``mmtasks.config``, which imports torch."""


class Configured:
    """What a class derives from that a checkpoint may make, if it is no ``torch.nn.Module``: a processor of another
    modality, for instance.
    """
