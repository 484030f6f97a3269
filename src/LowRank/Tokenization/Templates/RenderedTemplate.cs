namespace LowRank.Tokenization.Templates;

/// <summary>A conversation as the model reads it.</summary>
/// <param name="Text">The text, special tokens spelled out.</param>
/// <param name="GenerationSpans">
/// What the template's <c>{% generation %}</c> blocks wrote, in the order of the text: start and length in UTF-16
/// characters of <paramref name="Text"/>. Empty where the template has no such block.
/// </param>
public sealed record RenderedTemplate(string Text, IReadOnlyList<(int Start, int Length)> GenerationSpans)
{
    /// <summary>
    /// False where text of a <c>{% generation %}</c> block went through an expression (a filter, a concatenation) before it
    /// was written, so that its place in <see cref="Text"/> is unknown and <see cref="GenerationSpans"/> lacks it. Whoever
    /// trains by the spans has to refuse such a template. Default true.
    /// </summary>
    public bool GenerationSpansComplete { get; init; } = true;
}
