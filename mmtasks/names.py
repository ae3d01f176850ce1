"""Names that modalities and objectives may have: torch's dictionaries hold their parts under them."""

from collections.abc import Iterable

from torch import nn


def is_usable(name: str) -> bool:
    """Whether a name is one for a part of a module: an identifier, and no attribute of torch's dictionaries.

    >>> is_usable("audio"), is_usable("keys"), is_usable("a.b")
    (True, False, False)
    """
    return name.isidentifier() and not any(hasattr(held, name) for held in (nn.ModuleDict(), nn.ParameterDict()))


def check_names(argument: str, names: Iterable[str]) -> None:
    """Complain of the first name that no part of a module can have.

    Raises:
        ValueError: it names the argument and the name.
    """
    for name in names:
        if not is_usable(name):
            raise ValueError(
                f"{argument}: {name!r} cannot be a name; take letters, digits and _, and none that torch's "
                "modules use, such as type or keys"
            )
