"""A new task as a package of the user's own, from templates that keep the contract of all tasks as they are."""

import importlib.util
import keyword
from pathlib import Path
from string import Template

from mmtasks.errors import UserError

TEMPLATES = Path(__file__).parent / "templates" / "task"
SUFFIX = ".template"


def new_task(name: str, folder: Path) -> list[Path]:
    """Write the package ``name`` into a folder: encoder, objective, data, config and test.

    Raises:
        UserError: the name cannot be a package's, something of that name is there, or the folder is not writable.
    """
    from mmtasks.names import is_usable  # torch, which --help does without

    if not (name.isidentifier() and name == name.lower()) or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot be the name of a package; take small letters, digits and _")
    if not is_usable(name):
        raise UserError(f"{name!r} is a name that torch's modules use; choose another")
    package = folder / name
    if package.exists():
        raise UserError(f"{package}: is there already; choose another name or --output")
    if _is_installed(name):
        raise UserError(f"{name!r} is the name of an installed module; choose another")
    names = {"name": name, "Name": "".join(part.capitalize() for part in name.split("_"))}
    try:
        package.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{package}: cannot be written ({error.strerror}); choose another --output") from None
    written = []
    for template in sorted(TEMPLATES.glob(f"*{SUFFIX}")):
        path = package / template.name.removesuffix(SUFFIX).replace("NAME", name)
        path.write_text(Template(template.read_text(encoding="utf-8")).substitute(names), encoding="utf-8")
        written.append(path)
    return written


def _is_installed(name: str) -> bool:
    """Whether an import finds more than a plain folder."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None
