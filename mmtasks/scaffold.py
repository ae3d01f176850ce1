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
    if not (name.isidentifier() and name == name.lower()) or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot be the name of a package; take small letters, digits and _")
    package = folder / name
    if package.exists():
        raise UserError(f"{package}: is there already; choose another name or --output")
    if importlib.util.find_spec(name) is not None:
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
