namespace LowRank.Jinja;

/// <summary>
/// A template cannot be parsed, or its rendering failed. The message begins with the line if it is known. </summary>
public sealed class TemplateException : Exception
{
    internal TemplateException(string reason, int? line = null, Exception? inner = null)
        : base(line is null ? reason : $"line {line}: {reason}", inner) => (Reason, Line) = (reason, line);

    /// <summary>What went wrong, without the line; in Python's words if Python has a message for it.</summary>
    public string Reason { get; }

    /// <summary>The line of the template, counted from 1; null if unknown.</summary>
    public int? Line { get; }

    /// <summary>A value has the wrong type.</summary>
    internal static TemplateException Type(string message) => new("TypeError: " + message);

    /// <summary>A value has the right type but cannot be used.</summary>
    internal static TemplateException Value(string message) => new("ValueError: " + message);

    /// <summary>jinja2 has this construct, but this engine does not.</summary>
    internal static TemplateException Unsupported(string construct, int? line = null) =>
        new($"{construct} is not supported", line);
}
