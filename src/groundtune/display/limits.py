"""Say how to raise the limit at which a model's reply was cut off."""

TRAINED = "train it on longer replies: a trained model writes little more than the longest one that it has seen"


def how_to_raise(limit: str, table: str | None = None) -> str:
    """Return what helps, such as a key of the project file to raise. table: the model's, under [models]."""
    place = f"in [models.{table}]" if table else "of its model in groundtune.toml"
    if limit == "repetition":
        return "the model repeated itself until it was stopped, and only the first time is kept; try a larger model"
    if limit == "window":
        return f"show fewer or shorter passages, or raise window {place} if the server allows more"
    return f"raise {limit} {place}"
