using System.Text;
using LowRank.Tokenizers;

namespace LowRank.IO;

/// <summary>Writes a Modelfile, from which Ollama makes a model.</summary>
/// <remarks>Its reader takes a value up to the end of the line, or between triple quotes; there is no escape for these.
/// It drops characters that do not print.</remarks>
internal sealed class Modelfile
{
    private const string Quotes = "\"\"\"";

    private readonly StringBuilder text = new();

    /// <summary>Whether a value can be written between triple quotes.</summary>
    public static bool CanHold(string value) => !value.Contains(Quotes, StringComparison.Ordinal);

    /// <summary>Adds a comment of one line.</summary>
    public Modelfile Comment(string line)
    {
        text.Append("# ").Append(line).Append('\n');
        return this;
    }

    /// <summary>Adds an instruction.</summary>
    /// <param name="name">Its name, such as FROM, or PARAMETER and the parameter's.</param>
    /// <param name="value">The value; null adds nothing.</param>
    /// <exception cref="InputException">The value has three quotes in a row.</exception>
    public Modelfile Add(string name, string? value)
    {
        if (value is not null) text.Append(name).Append(' ').Append(Quote(name, value)).Append('\n');
        return this;
    }

    /// <inheritdoc/>
    public override string ToString() => text.ToString();

    private static string Quote(string name, string value)
    {
        if (!CanHold(value))
            throw new InputException(
                $"{name}: a value of a Modelfile has no place for three quotes in a row. Change the text.");
        bool isPlain = value.Length > 0 && value == value.Trim() && value.IndexOfAny(['\n', '\r', '"', '#']) < 0;
        return isPlain ? value : Quotes + value + Quotes;
    }
}
