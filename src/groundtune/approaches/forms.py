"""Import the output formats under shorter names: aliases of `groundtune.approaches.output_formats`."""

from groundtune.approaches.output_formats import AnswerFormat as AnswerForm
from groundtune.approaches.output_formats import LabelFormat as LabelForm
from groundtune.approaches.output_formats import ObjectFormat as ObjectForm
from groundtune.approaches.output_formats import TextFormat as TextForm

__all__ = ["AnswerForm", "LabelForm", "ObjectForm", "TextForm"]
