using System.Text;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>
/// Text that the filters <c>safe</c> and <c>escape</c> declare to be HTML (markupsafe's <c>Markup</c>): what is added to it
/// is escaped, even where the template's own output is not.
/// </summary>
internal sealed record MarkupValue(string Text)
{
    /// <summary>Escapes text as HTML.</summary>
    public static string Escape(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var character in text)
        {
            _ = character switch
            {
                '&' => result.Append("&amp;"),
                '<' => result.Append("&lt;"),
                '>' => result.Append("&gt;"),
                '\'' => result.Append("&#39;"),
                '"' => result.Append("&#34;"),
                _ => result.Append(character),
            };
        }

        return result.ToString();
    }
}
