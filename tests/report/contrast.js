// Return all visible text whose contrast with its background is below WCAG AA, as [text, ratio].
(() => {
  const parse = (text) => {
    const numbers = text.match(/[\d.e-]+/g).map(Number);
    const unit = text.startsWith("color(") ? 255 : 1;
    return { rgb: numbers.slice(0, 3).map((channel) => channel * unit), alpha: numbers[3] ?? 1 };
  };
  const over = (top, below) => top.rgb.map((channel, at) => channel * top.alpha + below[at] * (1 - top.alpha));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const background = parse(getComputedStyle(element).backgroundColor);
    return background.alpha === 1 ? background.rgb : over(background, behind(element.parentElement));
  };
  const luminance = (rgb) => rgb.map((channel) => channel / 255)
    .map((channel) => (channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4))
    .reduce((sum, channel, at) => sum + channel * [0.2126, 0.7152, 0.0722][at], 0);
  const failures = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join(" ").trim();
    if (!text || !element.checkVisibility() || element.closest("script, .hidden, :disabled")) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), back);
    const [high, low] = [luminance(ink), luminance(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) failures.push([text.slice(0, 40), ratio]);
  }
  return failures;
})()
