"""Tell whether the alternative text of a picture says something. Never looks at the picture."""

import re

_FILE_NAME = re.compile(
    r"\S.{0,250}\.(?:png|jpe?g|gif|bmp|tiff?|svg|emf|wmf|webp|heic|pdf|ico)", re.IGNORECASE | re.DOTALL
)
_NUMBERED = re.compile(
    r"(?:picture|image|graphic|graphics|photo|bild|grafik|foto|image|imagen|imagem|immagine|afbeelding|obrázek|obraz|kép|"
    r"рисунок|изображение|图片|图像|圖片|図|画像|그림|img|dsc|screenshot|logo)?[\s_-]*\d*",
    re.IGNORECASE,
)
_BY_A_PROGRAM = re.compile(
    r"automatic\w* generated|generated automatically|automatisch\w* (?:generiert|erstellt|gegenereerd)|"
    r"g[eé]n[eé]r[eé]\w* automatiquement|generad\w autom|generat\w automatic|gerad\w automat|"
    r"создано автоматически|automatiskt? gener|自動(?:的に)?生成|自动生成|자동으로 생성",
    re.IGNORECASE,
)
_LAST_LINE_ABOUT_AI = re.compile(r"\n[^\n]{0,60}(?<!\w)(?:AI|KI|IA|ИИ)(?!\w)[^\n]{0,80}\s*$")
"""What Office adds in the user's language: "AI-generated content may be incorrect."."""


def useful_alt_text(text: str | None) -> str:
    """Return the text; empty if it is a file's name, `Picture 3`, or a program's guess."""
    if _LAST_LINE_ABOUT_AI.search(text or ""):
        return ""
    text = " ".join((text or "").split())
    if _FILE_NAME.fullmatch(text) or _NUMBERED.fullmatch(text) or _BY_A_PROGRAM.search(text):
        return ""
    return text
