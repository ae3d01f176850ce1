"""Files that come inside installed packages, which are not imported."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "package:"
"""What a name begins with that is looked for inside an installed package."""


def packaged_file(package: str, name: str) -> Path | None:
    """The file of that name inside an installed package; None where there is none."""
    found = find_spec(package)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    return None
