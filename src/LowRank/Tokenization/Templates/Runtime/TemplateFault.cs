namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>What ends the parsing or the rendering of a template; becomes an <see cref="InputException"/> at the door.</summary>
internal sealed class TemplateFault(string message, int? line = null) : Exception(message)
{
    /// <summary>The line of the template, counted from 1; null where only the renderer knows it.</summary>
    public int? Line { get; } = line;

    /// <summary>The fault of a value of the wrong type, in Python's words where Python has them.</summary>
    public static TemplateFault Type(string message) => new("TypeError: " + message);

    /// <summary>The fault of a value of the right type that cannot be used.</summary>
    public static TemplateFault Value(string message) => new("ValueError: " + message);

    /// <summary>The fault of what jinja2 knows and this engine does not.</summary>
    public static TemplateFault Unsupported(string construct, int? line = null) =>
        new($"{construct} is not supported", line);
}
