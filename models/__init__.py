"""Models by name.

A model `NAME` is a file `models/NAME_model.py` with one subclass of `BaseModel` in it; `--model NAME` finds it there.
"""

from models.base_model import BaseModel
from util.plugins import find_class, known_names

DEFAULT_MODEL = "lnr"


def find_model(name: str) -> type[BaseModel]:
    """The model class of `--model name`.

    Raises:
        UserError: there is none.
    """
    return find_class(__name__, f"{name}_model", BaseModel, option="--model", name=name)


def known_models() -> str:
    """Names of all models, for people."""
    return known_names(__name__, "_model")


def create_model(opt) -> BaseModel:
    """The model that the options name, with fresh weights."""
    return find_model(opt.model)(opt)
