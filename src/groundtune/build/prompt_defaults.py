"""Choose the wording in which an approach tells its model the task: the one that did best, else the usual one."""

from groundtune.approaches.wordings import Wording
from groundtune.build.resources import Resources
from groundtune.common.files import digest_text
from groundtune.config import Config

USUAL = "full"


def usual_prompt(config: Config) -> str:
    """Return the name of the wording that applies until a comparison has chosen one, and on a tie."""
    names = config.compare.prompt_names
    return USUAL if USUAL in names else names[0]


def default_wording(config: Config, resources: Resources, name: str, table: str) -> Wording:
    """Return the wording of an approach by its plain name. table: its model, under [models]."""
    chosen = resources.fitted.prompts.get(name)
    if chosen and chosen.name in config.compare.prompt_names:
        wording = resources.wordings[chosen.name]
        if chosen.made_for == made_for(config, wording, table):
            return wording
    return resources.wordings[usual_prompt(config)]


def made_for(config: Config, wording: Wording, table: str) -> str:
    """Return a digest of the model, the task and the text of a wording."""
    model = config.models[table]
    return digest_text(repr([model.kind, model.model, model.base_url, config.task, wording.digest(config.task)]))[:16]


def training_wording(config: Config, resources: Resources, base: str | None, *, grounded: bool) -> Wording:
    """Return the wording to train a model in: that of the same model before training. grounded: over passages."""
    for table, model in config.models.items():
        if base and model.model == base:
            ending = "" if table == "default" else f":{table}"
            return default_wording(config, resources, f"{'rag' if grounded else 'prompt'}{ending}", table)
    return resources.wordings[usual_prompt(config)]
