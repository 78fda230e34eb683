"""Cases of a model of the user's, and what stands in for cases that the settings of a run do not have."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from icl_theory.claims.engine.case_settings import OutsideSettings
from icl_theory.claims.engine.cases import Case
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import truncate_weights

if TYPE_CHECKING:
    from icl_theory.claims.engine.case_factory import CaseFactory


class Lacking(list[Case]):
    """No cases, because the settings have none of that kind; to want a certain one of them ends the claim."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def __getitem__(self, place: Any) -> Any:
        """Raises: OutsideSettings for a single case."""
        if isinstance(place, slice):
            return self
        raise OutsideSettings(self.what)


def given_cases(factory: "CaseFactory", layers: int, with_data: Callable[..., Case]) -> list[Case]:
    """The model that was given, under as many draws of data as the profile has seeds; of an ensemble each member.

    `with_data`: makes a case with data of its own from a name, a kind, a number and a model.
    """
    models = factory.settings.models
    if layers != models[0].layers:
        several = "models with several layers" if layers != 1 else "models with one layer"
        return Lacking(several)
    count = max(factory.profile.seeds, len(models))
    return [
        with_data(_name(index, len(models)), "given", 4000 + index, models[index % len(models)])
        for index in range(count)
    ]


def _name(index: int, models: int) -> str:
    return f"your model, data {index}" if models == 1 else f"your model {index % models}, data {index}"


def lowered(source: Case, module: Module, rank: int) -> Case:
    """The case with one module of its last layer at that rank, or one below full where that is less."""
    rank = max(min(rank, source.model.token_dim - 1), 1)
    model = truncate_weights(source.model, layer=source.layers - 1, module=module, rank=rank)
    return source.with_model(model, f"{module} at rank {rank}", "truncated")
