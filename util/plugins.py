"""Find a class by the name of the file it is in."""

import importlib
import importlib.util
import pkgutil

from util.errors import UserError


def known_names(package: str, suffix: str) -> str:
    """Names NAME for which there is a file package/NAME<suffix>.py, for people: "a, b"."""
    folder = importlib.import_module(package).__path__
    return ", ".join(sorted(m.name.removesuffix(suffix) for m in pkgutil.iter_modules(folder)
                            if m.name.endswith(suffix) and m.name != f"base{suffix}"))


def find_class(package: str, module: str, base: type, option: str, name: str) -> type:
    """The one concrete subclass of `base` that is defined in `package/module.py`.

    Args:
        option: the option that named it, for the message.
        name: what the option said.

    Raises:
        UserError: there is no such module.
        TypeError: the module does not define exactly one such class.
    """
    is_base = base.__module__ == f"{package}.{module}"
    if is_base or not module.isidentifier() or importlib.util.find_spec(f"{package}.{module}") is None:
        room, known = package.rpartition(".")[2], known_names(package, module.removeprefix(name))
        raise UserError(f"{option} {name}: there is no {room}/{module}.py; known: {known}")
    # Asked of their types, as Python 3.10 takes list[int] for a class, too.
    found = [c for c in vars(importlib.import_module(f"{package}.{module}")).values()
             if issubclass(type(c), type) and issubclass(c, base) and c.__module__ == f"{package}.{module}"]
    if len(found) != 1:
        raise TypeError(f"{package}/{module}.py must define exactly one subclass of {base.__name__}, not {len(found)}")
    return found[0]
