"""Fields that had another name in version 0.1.0: their JSON is read under either name and written under both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator


class Renamed(BaseModel):
    """A model whose fields in `former_names` (name: former name) keep their former names in JSON for one version."""

    former_names: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not data.keys() & set(cls.former_names.values()):
            return data
        current = {former: name for name, former in cls.former_names.items()}
        return {current[key]: value for key, value in data.items() if key in current} | {
            key: value for key, value in data.items() if key not in current
        }

    @model_serializer(mode="wrap")
    def _write_former_names(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # a return type would replace the JSON schema
        written = write(self)
        return written | {former: written[name] for name, former in self.former_names.items() if name in written}
