namespace LowRank.Tokenization.Templates.Values;

/// <summary>Reads values as text.</summary>
internal static class Text
{
    /// <summary>The text of a string or markup, or null for any other value.</summary>
    public static string? Of(object value) => value switch
    {
        string text => text,
        MarkupValue markup => markup.Text,
        _ => null,
    };
}
