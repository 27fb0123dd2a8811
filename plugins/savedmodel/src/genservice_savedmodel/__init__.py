"""A user's own SavedModel or `.keras` file, served as its config declares it."""

from genservice import Model, hookimpl
from genservice_savedmodel.families import SavedModel, SavedModelClassifier, SavedModelGenerator

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The families of this plugin."""
    return [SavedModel, SavedModelClassifier, SavedModelGenerator]
