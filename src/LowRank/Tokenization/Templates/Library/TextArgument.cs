using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Reads arguments that have to be text.</summary>
internal static class TextArgument
{
    /// <summary>A text; a fault for any other value.</summary>
    public static string Require(object value, string function) => value is UndefinedValue undefined
        ? throw undefined.Use()
        : Text.Of(value) ?? throw TemplateFault.Type($"{function}() needs a str, not {TypeNames.Of(value)}");

    /// <summary>A text, or null where the argument is none or was not given.</summary>
    public static string? Optional(object? value, string function) =>
        value is null or None ? null : Require(value, function);
}
