"""What every section of the settings is."""

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024


class Section(BaseModel):
    """A typo in a section fails at start-up instead of being ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
