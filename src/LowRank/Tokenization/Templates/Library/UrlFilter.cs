using System.Text;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filter <c>urlencode</c>.</summary>
internal static class UrlFilter
{
    /// <summary>Quotes text for an address; the pairs of a dictionary or list become a query.</summary>
    public static object Encode(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("urlencode", 0, 0);
        if (value is string or MarkupValue || Iteration.Find(renderer, value) is null)
        {
            return Quote(Display.Text(renderer, value), false);
        }

        var pairs = value is DictionaryValue dictionary
            ? dictionary.Items.Select(pair => (pair.Key, pair.Value))
            : Iteration.Of(renderer, value).Select(item => Iteration.List(renderer, item) is [var key, var other]
                ? (key, other)
                : throw TemplateFault.Value("urlencode needs pairs of key and value"));
        return string.Join('&', pairs.Select(pair =>
            $"{Quote(Display.Text(renderer, pair.Item1), true)}={Quote(Display.Text(renderer, pair.Item2), true)}"));
    }

    private static string Quote(string text, bool isQuery)
    {
        var result = new StringBuilder();
        foreach (var value in Encoding.UTF8.GetBytes(text))
        {
            var character = (char)value;
            if (char.IsAsciiLetterOrDigit(character) || character is '_' or '.' or '-' or '~' || (character == '/' && !isQuery))
            {
                result.Append(character);
            }
            else if (character == ' ' && isQuery)
            {
                result.Append('+');
            }
            else
            {
                result.Append('%').Append(value.ToString("X2"));
            }
        }

        return result.ToString();
    }
}
